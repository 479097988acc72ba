import { assert, describe, it } from "@effect/vitest"
import * as Streams from "./streams.ts"

describe("npm run bench -- streams", () => {
  it("has all streams of a caller in one connection, and cuts those of the caller that is denied alone", async () => {
    const result = await Streams.run({ streams: 500, others: 20 })
    const { all, connections, few, untouched } = result
    assert.deepStrictEqual(
      { connections, few: few.count, untouched, all: all.count },
      { connections: 2, few: 20, untouched: 500, all: 500 }
    )
    assert.match(Streams.format(result), /^denied: the caller of all of them +500 cut/m)
  }, 180_000)
})
