/**
 * Judges requests when they arrive, and those at hand again at each change of intentions. A request whose verdict depends
 * on tokens waits for their verification.
 *
 *     request ─▶ judged ─┬──────────────▶ admitted ─▶ judged again ─▶ over
 *                        ├─ needs tokens ─▶ verified ─┘     │
 *                        └─▶ refused                        └─▶ refused by now: aborted
 *
 * A token counts until its request is over, even if the token expires before that.
 */
import { Array as Arr, Effect } from "effect"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import type * as Decision from "../../intention/Decision.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import type * as AdmissionLog from "../AdmissionLog.ts"
import * as Reauthorization from "../Reauthorization.ts"
import type * as AdmittedExchange from "./AdmittedExchange.ts"
import type * as RequestTokens from "./jwt/RequestTokens.ts"
import * as RequestAdmission from "./RequestAdmission.ts"
import type * as RequestRefusals from "./RequestRefusals.ts"
import * as TokenAdmission from "./TokenAdmission.ts"

export interface RequestJudge {
  /**
   * Judges a request, now and again until it is over. Calls `then` with the verdict: synchronously, or after the tokens
   * that it depends on have been verified, unless the request is over by then.
   */
  readonly judge: (
    exchange: AdmittedExchange.Judged,
    raw: RequestAdmission.Raw,
    then: (concluded: RequestAdmission.Concluded) => void
  ) => void
  /** Judges the requests at hand by these intentions, and aborts those that they refuse. */
  readonly again: (authorizer: Authorizer.Authorizer) => Effect.Effect<void>
  /** A request is over. */
  readonly leave: (exchange: AdmittedExchange.Judged) => void
}

export interface Options {
  /** The intentions in force. */
  readonly authorizer: () => Authorizer.Authorizer
  /** What is in force. */
  readonly normalization: () => PathNormalization.RequestNormalization
  readonly tokens: Pick<RequestTokens.RequestTokens, "verify">
  readonly log: Pick<AdmissionLog.AdmissionLog, "denied" | "keys">
  readonly refused: RequestRefusals.Record
  /** Called for each aborted request. */
  readonly aborted: () => void
  readonly run: (verifying: Effect.Effect<void>) => void
}

/** A verdict, with the tokens that it rests on. */
type Settled = Pick<RequestAdmission.Admitted, "decision" | "presented">

export const make = (options: Options): RequestJudge => {
  const { aborted, authorizer, log, normalization, refused, run } = options
  const admissions = Reauthorization.make<AdmittedExchange.Judged, RequestAdmission.Admitted>({
    nameOf: ({ connection }) => connection.caller.service,
    end: (exchange) => {
      aborted()
      exchange.abort()
    }
  })

  /** Records a verdict. An admitted request is judged again until it is over. */
  const conclude = (exchange: AdmittedExchange.Judged, concluded: RequestAdmission.Concluded): void => {
    exchange.concluded = concluded
    if (concluded._tag !== "Admitted") {
      if (concluded._tag === "Denied") exchange.refusal = 403
      return refused(exchange.connection, concluded)
    }
    if (concluded.decision.audited === true) log.denied(exchange.connection, concluded.decision)
    if (!exchange.over) admissions.admit(exchange, concluded)
  }

  const judgeLater = (exchange: AdmittedExchange.Judged, admitted: RequestAdmission.Admitted) =>
    Effect.flatMap(settle(options, exchange, admitted), (settled) => {
      if (!settled.decision.allowed) return logEnded(log, admissions.judge(() => settled.decision, [exchange]))
      admissions.amend(exchange, { ...admitted, ...settled })
      return Effect.void
    })

  return {
    leave: admissions.leave,
    judge: (exchange, raw, then) => {
      const judgement = RequestAdmission.judge(authorizer(), exchange.connection.caller, raw, normalization())
      if (judgement._tag !== "Open") {
        conclude(exchange, judgement)
        return then(judgement)
      }
      const { request } = judgement
      run(
        Effect.map(
          settle(options, exchange, { request, presented: TokenAdmission.nobody }),
          ({ decision, presented }) => {
            const concluded = RequestAdmission.conclude(request, decision, presented)
            conclude(exchange, concluded)
            // Node reports what the application throws: a fiber would swallow it.
            queueMicrotask(() => exchange.over ? undefined : then(concluded))
          }
        )
      )
    },
    again: (current) =>
      Effect.suspend(() => {
        const ended = admissions.judge((exchange, admitted) => {
          const { decision, open } = TokenAdmission.judge(
            (claims) => decide(current, exchange, admitted.request, claims),
            admitted.presented
          )
          if (open.size === 0) return decision
          // The request needs a token now that it did not need before. It may carry one all the same.
          run(judgeLater(exchange, admitted))
          return undefined
        })
        return logEnded(log, ended)
      })
  }
}

/** Decides by the intentions in force. Verifies the tokens that the verdict depends on, and no others. */
const settle = (
  { authorizer, tokens }: Pick<Options, "authorizer" | "tokens">,
  exchange: AdmittedExchange.Judged,
  { presented, request }: Pick<RequestAdmission.Admitted, "presented" | "request">
): Effect.Effect<Settled> => {
  const known: TokenAdmission.Presented = new Map(presented)
  return Effect.map(
    TokenAdmission.settle(
      (claims) => decide(authorizer(), exchange, request, claims),
      known,
      (provider) => tokens.verify(provider, request)
    ),
    (decision) => ({ decision, presented: known })
  )
}

const decide = (
  authorizer: Authorizer.Authorizer,
  { connection }: AdmittedExchange.Judged,
  request: RequestAdmission.Request,
  tokens: TokenRequirement.Tokens
): Decision.Decision => RequestAdmission.decide(authorizer, connection.caller, request, tokens)

const logEnded = (
  { keys }: Pick<AdmissionLog.AdmissionLog, "keys">,
  ended: ReadonlyArray<Reauthorization.Ended<AdmittedExchange.Judged>>
): Effect.Effect<void> =>
  Effect.forEach(
    ended,
    ({ all, line }) =>
      Effect.annotateLogs(Effect.logWarning(`ended requests of ${line}: the intentions changed`), {
        ...keys(Arr.lastNonEmpty(all).connection),
        reason: "denied"
      }),
    { discard: true }
  )
