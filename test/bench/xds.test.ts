import { assert, describe, it } from "@effect/vitest"
import * as Xds from "./xds.ts"

describe("npm run bench -- xds", () => {
  it("sends what a change is about, to those whom it is about", async () => {
    const { changes } = await Xds.run({ services: 30, subscribers: 6, upstreams: 4 })
    assert.deepStrictEqual(
      changes.slice(1).map(({ resources, what }) => [what, resources]),
      [
        // One resource to each.
        ["an instance that all of them call fails", 6],
        ["an intention of one of them", 1],
        // A changed cluster asks anew for its endpoints.
        ["the resolver of a service that all of them call", 12],
        ["the protocol of a service that nobody calls", 0],
        // The public listener, four clusters, and the endpoints of these.
        ["another root signs", 6 * (1 + 4 + 4)]
      ]
    )
  })
})
