/** Which outcome of a check counts, by the thresholds of its definition. Pure. */
import type * as CheckDefinition from "./CheckDefinition.ts"
import type * as ProbeCheck from "./ProbeCheck.ts"

/** How many times in a row a check has passed, or failed. */
export interface CheckStreak {
  readonly passing: number
  readonly failing: number
}

export const none: CheckStreak = { passing: 0, failing: 0 }

type Thresholds = Pick<
  CheckDefinition.CheckDefinition,
  "successesBeforePassing" | "failuresBeforeWarning" | "failuresBeforeCritical"
>

export const next = ({ failing, passing }: CheckStreak, { status }: ProbeCheck.Outcome): CheckStreak =>
  status === "critical" ? { passing: 0, failing: failing + 1 } : { passing: passing + 1, failing: 0 }

/** What an outcome makes of the check; undefined: it stays as it is. `streak` includes the outcome. */
export const verdict = (
  streak: CheckStreak,
  thresholds: Thresholds,
  outcome: ProbeCheck.Outcome
): ProbeCheck.Outcome | undefined => {
  if (outcome.status !== "critical") return streak.passing > thresholds.successesBeforePassing ? outcome : undefined
  if (streak.failing > thresholds.failuresBeforeCritical) return outcome
  return streak.failing > thresholds.failuresBeforeWarning ? { ...outcome, status: "warning" } : undefined
}
