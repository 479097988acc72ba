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

/** A plain answer of the proxy, where an application was to answer. */
const answered = (status: number, reason: string, body: string): Purpose["instead"] => ({
  "response.status": status,
  "response.reason": reason,
  "response.headers.content-type[0]": "text/plain",
  "response.headers.content-length[0]": String(body.length),
  "response.body": body,
  seen: []
})

const denied = answered(403, "Forbidden", "RBAC: access denied")

const malformed: Purpose["instead"] = {
  ...answered(400, "Bad Request", "Bad Request"),
  "response.headers.connection": ["close"],
  closed: true
}

/** The tokens of requests that carry one no verdict depends on. */
const unasked = [
  "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWVzaCIsInN1YiI6" +
  "ImFsaWNlIiwiZXhwIjo0MTAyNDQ0ODAwLCJyb2xlIjoiYWRtaW4ifQ.ckkPc0i3HL8Ra0Vkj6l27kqpxjKJl6bDz0YHAJ_76hoAaO3EfKhVrlvSC" +
  "qA_V8Ln_fJpX1sNeAAdEqvJTCfooA",
  "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoibWVzaCIsInN1YiI6" +
  "ImFsaWNlIiwiZXhwIjo0MTAyNDQ0ODAwLCJyb2xlIjoidXNlciJ9.moBG7bUaEcgLMcrNXT8EVRYYKuC25HIwblzbUQIRfuOieL87HSoOSjWtWdr" +
  "Z6bU0CtDjn7SAzJP4zcD4vCS9Pw"
]

export const list: ReadonlyArray<Purpose> = [
  ...([
    ["intentions/permission header exact", [3]],
    ["intentions/permission header prefix, suffix, contains", [3, 5]],
    ["intentions/permission header regex and present", [2]]
  ] as const).map(([scenario, requests]): Purpose => ({
    scenario,
    requests,
    reason: "Intentions and repeated headers: the stricter reading",
    instead: denied
  })),
  ...([
    ["mechanics/chunked request bodies", [7]],
    ["mechanics/header syntax", [6, 7, 8, 9]],
    ["mechanics/host header", [2, 3]],
    ["mechanics/request targets", [12]],
    ["mechanics/versions on the wire", [8]]
  ] as const).map(([scenario, requests]): Purpose => ({
    scenario,
    requests,
    reason: "Requests that can be read in two ways are refused",
    instead: malformed
  })),
  {
    scenario: "normalisation/escaped slashes redirected",
    requests: [3],
    reason: "A redirect stays on its host",
    instead: { "response.headers.location[0]": "/.//secret" }
  },
  {
    scenario: "normalisation/merged slashes",
    requests: [6],
    reason: "Slashes are merged wherever they stand",
    instead: { "seen[0].target": "/" }
  },
  {
    scenario: "jwt/token in the query",
    requests: [4],
    reason: "Every token has to be valid",
    instead: denied
  },
  ...unasked.map((token, i): Purpose => ({
    scenario: "jwt/token required under default allow",
    requests: [i + 1],
    reason: "Tokens that decide nothing are passed on",
    instead: { "seen[0].headers.authorization": [`Bearer ${token}`] }
  })),
  {
    scenario: "mechanics/methods on the wire",
    requests: [7],
    reason: "Unknown methods get one answer",
    instead: {
      "response.headers.content-length[0]": "11",
      "response.headers.content-type": ["text/plain"],
      "response.body": "Bad Request"
    }
  },
  {
    scenario: "mechanics/names and values of headers",
    requests: [5],
    reason: "Header lines are not joined",
    instead: { "seen[0].headers.accept": ["a", "b"] }
  },
  {
    scenario: "resilience/connect failure without retries",
    requests: [0],
    reason: "Instances that can not be reached are passed over",
    instead: { "counts.half-1": 10, "counts.status 503": null }
  },
  {
    scenario: "resolver/failover does not see errors",
    requests: [0],
    reason: "Instances that can not be reached are passed over",
    instead: { "counts.admin-1": 4, "counts.status 503": null }
  },
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
