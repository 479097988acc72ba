/** The agent: whether it answers, its clock, and who it takes us for. */
import { Clock, Effect, Result } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import * as ConsulError from "../../consul/ConsulError.ts"
import type * as Settings from "../../consul/Settings.ts"
import type * as Asking from "./Asking.ts"
import * as Finding from "./Finding.ts"

export interface Checked {
  readonly findings: ReadonlyArray<Finding.Finding>
  /** Whether anything else can be asked for. */
  readonly answers: boolean
}

export const check = Effect.fnUntraced(function*(
  { ask }: Asking.Asking,
  settings: Settings.Settings
): Effect.fn.Return<Checked, never, ConsulClient.ConsulClient> {
  const { address } = yield* ConsulClient.ConsulClient
  const leader = yield* ask("GET /v1/status/leader", (api) => api.status.leader({ query: {} }))
  const now = yield* Clock.currentTimeMillis
  if (Result.isFailure(leader)) {
    return { answers: false, findings: [Finding.ofError("ask the agent", "", leader.failure)] }
  }
  const { body, headers } = leader.success
  const self = yield* ask("GET /v1/agent/self", (api) => api.agent.self({}))
  const name = Result.isSuccess(self)
    ? `: Consul ${self.success.body.Config.Version}, node ${self.success.body.Config.NodeName}, ` +
      `datacenter ${self.success.body.Config.Datacenter}`
    : ""
  const token = yield* ask("GET /v1/acl/token/self", (api) => api.acl.tokenSelf({ query: {} }))
  return {
    answers: true,
    findings: [
      Finding.good(`the agent at ${address} answers${name}`),
      body === ""
        ? Finding.broken(
          "its servers have no leader: nothing that changes is heard of",
          "Look at the servers: consul operator raft list-peers, and their logs"
        )
        : Finding.good(`its servers have a leader, ${body}`),
      ofClock(headers.date, now),
      ofToken(settings.token !== undefined || settings.tokenFile !== undefined, token),
      ...(Result.isFailure(self) && ConsulError.isRefused(self.failure)
        ? [Finding.doubt(
          "the token may not read the agent, and so not its default policy: where no intention matches, callers are refused",
          "Give it agent:read, or start the proxy with --default-policy"
        )]
        : [])
    ]
  }
})

/** The header says whole seconds, and the answer took a while. */
const ofClock = (date: string | undefined, now: number): Finding.Finding => {
  const theirs = date === undefined ? Number.NaN : Date.parse(date)
  if (Number.isNaN(theirs)) return Finding.unknown("the agent does not tell its time")
  const seconds = Math.round((now - theirs) / 1000)
  const remedy =
    "Let both machines keep time (NTP): certificates are judged by the clock, and new ones are valid from a " +
    "minute before they were issued"
  const what = `the clock here is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} that of the agent`
  return Math.abs(seconds) <= 2
    ? Finding.good("the clocks here and at the agent agree")
    : Math.abs(seconds) < 60
    ? Finding.doubt(what, remedy)
    : Finding.broken(what, remedy)
}

const ofToken = (
  given: boolean,
  answer: Result.Result<
    { readonly body: { readonly AccessorID: string; readonly Policies: ReadonlyArray<{ readonly Name: string }> } },
    ConsulError.ConsulError
  >
): Finding.Finding => {
  if (Result.isSuccess(answer)) {
    const { AccessorID, Policies } = answer.success.body
    const policies = Policies.length === 0 ? "" : `, policies ${Policies.map(({ Name }) => Name).join(", ")}`
    return given
      ? Finding.good(`the agent knows the token: accessor ${AccessorID}${policies}`)
      : Finding.doubt("no token is sent, and the agent has ACLs", Finding.tokenRemedy)
  }
  const { reason } = answer.failure
  return reason._tag === "PermissionDenied" && reason.body.includes("ACL support disabled")
    ? Finding.good("the agent has no ACLs: no token is needed")
    : !given && reason._tag === "PermissionDenied"
    ? Finding.doubt("no token is sent, and the agent has ACLs", Finding.tokenRemedy)
    : Finding.ofError("see who the token is", "", answer.failure)
}
