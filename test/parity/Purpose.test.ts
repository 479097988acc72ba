import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Purpose from "./Purpose.ts"
import * as Recording from "./Recording.ts"

const page = readFileSync(new URL("../../docs/parity.md", import.meta.url), "utf8")
const section = page.slice(page.indexOf("## Different on purpose"))

describe("what is different on purpose", () => {
  it("has each of its reasons in the documentation, and no other", () => {
    const told = [...section.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
    assert.deepStrictEqual(told.toSorted(), [...new Set(Purpose.list.map(({ reason }) => reason))].sort())
  })

  it("names requests that were recorded, each once", () => {
    const recorded = Recording.scenarios().flatMap((scenario) =>
      scenario.requests.map((_, number) => `${Recording.titleOf(scenario)} #${number}`)
    )
    const named = Purpose.list.flatMap(({ requests, scenario }) => requests.map((number) => `${scenario} #${number}`))
    assert.deepStrictEqual(named.filter((name) => !recorded.includes(name)), [])
    assert.strictEqual(new Set(named).size, named.length)
  })
})
