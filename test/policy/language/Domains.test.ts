import { assert, describe, it } from "@effect/vitest"
import * as PathNormalization from "../../../src/intention/PathNormalization.ts"
import * as Automaton from "../../../src/policy/language/Automaton.ts"
import * as Domains from "../../../src/policy/language/Domains.ts"
import { random } from "../../support/rules.ts"

const settings: ReadonlyArray<PathNormalization.RequestNormalization> = [
  {},
  { MergeSlashes: true },
  { PathWithEscapedSlashesAction: "UNESCAPE_AND_FORWARD" },
  { PathWithEscapedSlashesAction: "REJECT_REQUEST", MergeSlashes: true },
  { InsecureDisablePathNormalization: true },
  { InsecureDisablePathNormalization: true, MergeSlashes: true }
]

describe("Domains.path", () => {
  it.each(settings)("has every path that normalisation lets through: %o", (settings) => {
    const domain = Domains.path(settings, false)
    const next = random(1)
    const parts = [..."/.././/a%2E%41%2f%5c%25%00%zz%\\é~:;=@-AZ09*!", "%2e%2e", "..", "%2F", "%c3%a9", "/./"]
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: i % 9 }, () => parts[Math.floor(next() * parts.length)]).join("")
      const target = `/${Buffer.from(text).toString("latin1")}`
      const normalized = PathNormalization.normalize(target, settings)
      if (normalized._tag === "Rejected") continue
      assert.isTrue(Automaton.accepts(domain, normalized.path), `${target} became ${normalized.path}`)
    }
  })

  it("has no path that normalisation would change", () => {
    const domain = Domains.path({}, false)
    for (
      const path of ["", "a", "/.", "/..", "/a/../b", "/a/.", "/%41", "/%2e", "/%00", "/a?x", "/a#x", "/é", "/ ", "/\\"]
    ) {
      assert.isFalse(Automaton.accepts(domain, path), path)
    }
    for (const path of ["/", "//", "/...", "/.a", "/a/..b", "/%2F", "/%", "/%zz", "/a.b/"]) {
      assert.isTrue(Automaton.accepts(domain, path), path)
    }
    assert.isFalse(Automaton.accepts(Domains.path({ MergeSlashes: true }, false), "//"))
  })

  it("has the query where a condition looks at it", () => {
    assert.isTrue(Automaton.accepts(Domains.path({}, true), "/a?b/../c?d"))
    assert.isFalse(Automaton.accepts(Domains.path({}, true), "/a/../b?c"))
  })
})
