import { assert, describe, it } from "@effect/vitest"
import * as CheckStreak from "../../src/agent/CheckStreak.ts"
import type * as ProbeCheck from "../../src/agent/ProbeCheck.ts"

const follow = (
  thresholds: Partial<Parameters<typeof CheckStreak.verdict>[1]>,
  ...statuses: ReadonlyArray<ProbeCheck.Outcome["status"]>
) => {
  let streak = CheckStreak.none
  return statuses.map((status) => {
    const outcome = { status, output: "" }
    streak = CheckStreak.next(streak, outcome)
    return CheckStreak.verdict(
      streak,
      { successesBeforePassing: 0, failuresBeforeWarning: 0, failuresBeforeCritical: 0, ...thresholds },
      outcome
    )?.status
  })
}

describe("CheckStreak", () => {
  it("follows each outcome without thresholds", () =>
    assert.deepStrictEqual(
      follow({}, "passing", "critical", "warning", "critical"),
      ["passing", "critical", "warning", "critical"]
    ))

  it("stays critical until it has passed often enough in a row, warnings included", () =>
    assert.deepStrictEqual(
      follow({ successesBeforePassing: 2 }, "passing", "warning", "critical", "passing", "warning", "passing"),
      [undefined, undefined, "critical", undefined, undefined, "passing"]
    ))

  it("warns first and is critical after more failures in a row", () =>
    assert.deepStrictEqual(
      follow({ failuresBeforeWarning: 1, failuresBeforeCritical: 2 }, "critical", "critical", "critical", "critical"),
      [undefined, "warning", "critical", "critical"]
    ))

  it("starts to count again after a success", () =>
    assert.deepStrictEqual(
      follow({ failuresBeforeWarning: 1, failuresBeforeCritical: 1 }, "critical", "passing", "critical", "critical"),
      [undefined, "passing", undefined, "critical"]
    ))
})
