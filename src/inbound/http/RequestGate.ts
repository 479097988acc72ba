/** What stands before the application, whoever speaks HTTP: judges each request, again at each change of intentions, and counts. */
import { Effect, type Scope, Stream } from "effect"
import * as Fibers from "../../net/Fibers.ts"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import * as MeshDefaults from "../../watch/MeshDefaults.ts"
import * as Watched from "../../watch/Watched.ts"
import * as AdmissionLog from "../AdmissionLog.ts"
import * as RequestTokens from "./jwt/RequestTokens.ts"
import * as RequestJudge from "./RequestJudge.ts"
import * as RequestRefusals from "./RequestRefusals.ts"
import * as RequestTraffic from "./RequestTraffic.ts"

export interface RequestGate extends Pick<RequestJudge.RequestJudge, "judge" | "leave"> {
  /** The intentions in force. */
  readonly authorizer: () => Authorizer.Authorizer
  /** Judges all open requests again, now. */
  readonly judgeAgain: Effect.Effect<void>
  /** Whom callers ask. */
  readonly service: () => string
  /** What holds for every sidecar, now. */
  readonly mesh: () => MeshDefaults.Defaults
  readonly log: AdmissionLog.AdmissionLog
  readonly traffic: RequestTraffic.RequestTraffic
  /** Headers that callers may not set: the mesh does. */
  readonly reserved: RequestTokens.RequestTokens["reserved"]
}

/** Follows intentions as long as the scope is open. `normalization`: instead of that of the mesh. */
export const make = Effect.fnUntraced(function*(
  normalization?: PathNormalization.RequestNormalization
): Effect.fn.Return<
  RequestGate,
  never,
  Intentions.Intentions | JwtProviders.JwtProviders | MeshDefaults.MeshDefaults | Scope.Scope
> {
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const mesh = yield* Watched.ready(yield* MeshDefaults.MeshDefaults)
  const service = () => authorizer().destination.service
  const context = yield* Effect.context<never>()
  const tokens = yield* RequestTokens.make
  const { run } = yield* Fibers.make()
  const log = yield* AdmissionLog.make({ service, subject: (remote) => `a request of ${remote}`, run })
  const traffic = yield* RequestTraffic.make(log)
  const { again, judge, leave } = RequestJudge.make({
    authorizer,
    normalization: () => normalization ?? mesh().incoming,
    tokens,
    log,
    refused: RequestRefusals.make(log, context),
    aborted: traffic.denied,
    run
  })
  yield* Effect.forkScoped(Stream.runForEach(intentions.changes, again))
  const judgeAgain = Effect.suspend(() => again(authorizer()))
  return { authorizer, judgeAgain, service, mesh, log, traffic, judge, leave, reserved: tokens.reserved }
})
