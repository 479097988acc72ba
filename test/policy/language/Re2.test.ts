import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { RE2JS } from "re2js"
import * as Automaton from "../../../src/policy/language/Automaton.ts"
import * as Re2 from "../../../src/policy/language/Re2.ts"
import { words } from "../../../src/testing/Samples.ts"
import { random } from "../../support/rules.ts"

const expressions = [
  "/a|/b",
  "(?i)/v1/k[s-u].é",
  "a\\b.b",
  "\\Ba|a\\B",
  "^/x$",
  "(?m)a$\\n^b",
  "(?s).*",
  "[^a]+",
  "\\pL+x",
  "[[:^alpha:]]\\d",
  "(?:a|b){3,5}",
  "\\z",
  "",
  "x*",
  "/[a-z]+(\\?.*)?",
  "[\\x{700}-\\x{10ffff}]",
  "[\\x{ffff}-\\x{10000}]",
  "a||b",
  "(a|ab)(c|bcd)(d*)",
  "(?i)[k-s]x",
  "(?i:k)b|(?-i)S",
  "a??b+?",
  "(?U)a+",
  "\\Qa.b\\E",
  "(?P<name>a)b"
]
const alphabet = [..."/aAbBkKsSv1x.éſ\u212a\u{10000}\u{10ffff}\u0700\u07ff\u0800\uffff\n?c d_\ud7ff\ue000"]
const bytes = (text: string) => Buffer.from(text, "utf8").toString("latin1")
const text = (word: string) => Buffer.from(word, "latin1").toString("utf8")

describe("Re2", () => {
  it.each(expressions)("accepts what re2js matches as a whole: %s", (expression) => {
    const automaton = Result.getOrThrow(Re2.compile(expression, 5000))
    const reference = RE2JS.compile(expression)
    const next = random(expression.length)
    const own = [...expression, ...alphabet]
    // Words of the automaton, and what is near them: by chance alone, few texts would match.
    for (const word of words(expression)) {
      assert.isTrue(reference.testExact(text(word)), `${JSON.stringify(word)} is in the language, and does not match`)
    }
    const near = words(expression).map(text)
    for (let i = 0; i < 2000; i++) {
      const letters = i % 2 === 0 ? own : alphabet
      const drawn = Array.from({ length: i % 7 }, () => letters[Math.floor(next() * letters.length)]).join("")
      const base = near[i % Math.max(1, near.length)] ?? ""
      const at = Math.floor(next() * (base.length + 1))
      const mutant = base.slice(0, at) + drawn.slice(0, 1) + base.slice(at + i % 2)
      for (const each of [drawn, mutant].filter((each) => each.isWellFormed())) {
        assert.strictEqual(Automaton.accepts(automaton, bytes(each)), reference.testExact(each), JSON.stringify(each))
      }
    }
  })

  it("accepts every character that a set has, and no other", () => {
    for (const set of ["\\pL", "[^\\x{80}-\\x{7ff}]", "(?i)[k-s]"]) {
      const automaton = Result.getOrThrow(Re2.compile(set, 5000))
      const reference = RE2JS.compile(set)
      for (let c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 97) {
        if (c >= 0xd800 && c <= 0xdfff) continue
        const text = String.fromCodePoint(c)
        if (Automaton.accepts(automaton, bytes(text)) !== reference.testExact(text)) {
          assert.fail(`${set} and U+${c.toString(16)}`)
        }
      }
    }
  })

  it("accepts no bytes that are not UTF-8", () => {
    const anything = Result.getOrThrow(Re2.compile("(?s).*", 5000))
    for (const text of ["\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "a\x80"]) {
      assert.isFalse(Automaton.accepts(anything, text))
      assert.isFalse(Automaton.accepts(Automaton.utf8, text))
    }
    assert.isTrue(Automaton.accepts(Automaton.utf8, bytes("é\u{10ffff}")))
  })

  it("refuses aloud what would grow beyond the limit", () => {
    const result = Re2.compile("(a|b)*a(a|b){12}", 1000)
    assert.deepStrictEqual(
      Result.getFailure(result),
      Result.getFailure(Result.fail("needs an automaton of more than 1000 states"))
    )
  })
})
