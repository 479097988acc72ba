/**
 * What is different from the recordings on purpose, and how. `docs/parity.md` says why, under each reason. A request that is
 * listed here has to differ exactly as it says, so that the list hides nothing else.
 */
import { Equal, type Schema } from "effect"
import type * as Compare from "./Compare.ts"

export interface Purpose {
  /** `area/name` of a scenario. */
  readonly scenario: string
  /** Numbers of its requests. */
  readonly requests: ReadonlyArray<number>
  readonly reason: string
  /** What is seen instead, by where it differs. Null: nothing. */
  readonly instead: Readonly<Record<string, Schema.Json>>
}

export const list: ReadonlyArray<Purpose> = [
  {
    scenario: "accesslog/default json of refusals",
    requests: [4],
    reason: "Refused callers do not reach the application",
    instead: {
      "accessLog.tcpsvc-1[0].bytes_received": 0,
      "accessLog.tcpsvc-1[0].upstream_host": null,
      "accessLog.tcpsvc-1[0].upstream_local_address": null
    }
  }
]

export const find = (scenario: string, request: number): Purpose | undefined =>
  list.find((it) => it.scenario === scenario && it.requests.includes(request))

/** Whether these are the differences that are meant, all of them and no other. */
export const explains = ({ instead }: Purpose, differences: ReadonlyArray<Compare.Difference>): boolean =>
  differences.length === Object.keys(instead).length &&
  differences.every(({ got, where }) => where in instead && Equal.equals(got ?? null, instead[where]))
