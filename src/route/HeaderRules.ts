/**
 * What a route, or a leg of a splitter, changes in the headers of requests and answers. As Envoy does it: headers are removed first,
 * then set, then added; one whose value comes out empty is left as it is. Where a route and its leg both say something, the leg's
 * rules go first.
 */
import { Result } from "effect"
import type * as Common from "../consul/config/Common.ts"
import * as Bytes from "../intention/Bytes.ts"
import * as Substitution from "../observe/Substitution.ts"

export interface HeaderRules {
  /** As the entry says it. */
  readonly said: Common.HeaderModifiers
  /** `raw` is a list `name, value, name, value, …`, in whatever letter case. */
  readonly apply: (raw: ReadonlyArray<string>, facts: Substitution.Facts) => ReadonlyArray<string>
}

interface Assignment {
  readonly name: string
  readonly value: Substitution.Substitution
}

/** Fails with what is wrong with a value. */
export const compile = (said: Common.HeaderModifiers): Result.Result<HeaderRules, string> =>
  Result.gen(function*() {
    const removed = new Set(said.Remove.map((name) => name.toLowerCase()).filter((name) => !fixed.has(name)))
    const set = yield* assignments(said.Set)
    const added = yield* assignments(said.Add)
    return {
      said,
      apply: (raw, facts) => {
        const present = (assignments: ReadonlyArray<Assignment>) =>
          assignments.flatMap(({ name, value }) => {
            const text = value.text(facts, "")
            return text === "" ? [] : [[name, text] as const]
          })
        const fresh = present(set)
        const replaced = new Set(fresh.map(([name]) => name))
        const kept = without(raw, (name) => removed.has(name) || replaced.has(name))
        return [...kept, ...fresh.flat(), ...present(added).flat()]
      }
    }
  })

/** What tells where a message ends, and whom it is for: no rule changes it. */
const fixed: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** The rules one after the other. */
export const applyAll = (
  rules: ReadonlyArray<HeaderRules | undefined>,
  raw: ReadonlyArray<string>,
  facts: Substitution.Facts
): ReadonlyArray<string> => rules.reduce((raw, rule) => rule === undefined ? raw : rule.apply(raw, facts), raw)

const assignments = (
  values: Readonly<Record<string, string>>
): Result.Result<ReadonlyArray<Assignment>, string> =>
  Result.all(
    Object.entries(values).filter(([name]) => !fixed.has(name.toLowerCase())).map(([name, value]) =>
      Result.mapBoth(Substitution.compile(Bytes.fromText(value)), {
        onFailure: (why) => `the value of the header ${name}: ${why}`,
        onSuccess: (value) => ({ name: name.toLowerCase(), value })
      })
    )
  )

const without = (raw: ReadonlyArray<string>, isLeftOut: (name: string) => boolean): ReadonlyArray<string> => {
  const kept: Array<string> = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isLeftOut(raw[i]!.toLowerCase())) kept.push(raw[i]!, raw[i + 1]!)
  }
  return kept
}
