import { assert, describe, it } from "@effect/vitest"
import * as Streams from "./streams.ts"

describe("npm run bench -- streams", () => {
  it(
    "has all streams of a caller in one connection, cuts them when it is denied, and leaves another caller's alone",
    async () => {
      const result = await Streams.run({ streams: 500, others: 20 })
      const { connections, cut, untouched } = result
      assert.deepStrictEqual({ connections, cut, untouched }, { connections: 2, cut: 500, untouched: 20 })
      assert.match(Streams.format(result), /^cut +500 of 500$/m)
    },
    180_000
  )
})
