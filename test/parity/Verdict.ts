/** What is to be made of a request that was played. */
import type { Schema } from "effect"
import * as Compare from "./Compare.ts"
import * as Purpose from "./Purpose.ts"
import * as Recording from "./Recording.ts"

/** `stale`: listed as different on purpose, and equal. */
export type Outcome = "equal" | "on purpose" | "wrong" | "stale"

export interface Verdict {
  readonly scenario: Recording.Scenario
  /** The number of the request in its scenario. */
  readonly number: number
  readonly outcome: Outcome
  /** Why it is listed as different on purpose. */
  readonly reason: string | undefined
  readonly differences: ReadonlyArray<Compare.Difference>
  readonly got: Schema.JsonObject
}

export const of = (
  scenario: Recording.Scenario,
  number: number,
  got: Schema.JsonObject,
  options: { readonly strict: boolean; readonly purpose?: Purpose.Purpose | undefined }
): Verdict => {
  const { expect, tolerance } = scenario.requests[number]!
  const differences = Compare.differences(expect, got, { strict: options.strict, tolerance: tolerance ?? 0 })
  const { purpose } = options
  const outcome = differences.length === 0
    ? purpose === undefined ? "equal" : "stale"
    : purpose !== undefined && Purpose.explains(purpose, differences)
    ? "on purpose"
    : "wrong"
  return { scenario, number, outcome, reason: purpose?.reason, differences, got }
}

/** By the list of what is different on purpose. */
export const byList = (
  scenario: Recording.Scenario,
  number: number,
  got: Schema.JsonObject,
  { starter, strict }: { readonly strict: boolean; readonly starter: { readonly _tag: string } }
): Verdict =>
  of(scenario, number, got, {
    strict,
    // What our own sidecars do otherwise says nothing about Envoys.
    purpose: starter._tag === "Envoys" ? undefined : Purpose.find(Recording.titleOf(scenario), number)
  })

export const isBad = ({ outcome }: Verdict): boolean => outcome === "wrong" || outcome === "stale"
