/**
 * Judges requests: when they come, and again until they are over, at each change of intentions. Where the verdict depends on
 * tokens, a request waits until they have been verified.
 *
 *     request ─▶ judged ─┬──────────────▶ admitted ─▶ judged again ─▶ over
 *                        ├─ needs tokens ─▶ verified ─┘     │
 *                        └─▶ refused                        └─▶ refused by now: aborted
 *
 * A token that a request was admitted with counts until the request is over, even if it expires before that.
 */
import { Array as Arr, Effect } from "effect"
import type * as PathNormalization from "../../http/PathNormalization.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import type * as Decision from "../../intention/Decision.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import type * as AdmissionLog from "../AdmissionLog.ts"
import * as Admissions from "../Admissions.ts"
import type * as AdmittedExchange from "./AdmittedExchange.ts"
import type * as RequestTokens from "./jwt/RequestTokens.ts"
import * as RequestAdmission from "./RequestAdmission.ts"
import type * as RequestRefusals from "./RequestRefusals.ts"
import * as TokenAdmission from "./TokenAdmission.ts"

export interface RequestJudge {
  /**
   * Judges a request, now and again until it is over. `then` is called with the verdict: at once, or when the tokens that it
   * depends on have been verified and somebody still waits for the answer.
   */
  readonly judge: (
    exchange: AdmittedExchange.Exchange,
    raw: RequestAdmission.Raw,
    then: (concluded: RequestAdmission.Concluded) => void
  ) => void
  /** Judges what is at hand by other intentions, and aborts what they refuse. */
  readonly again: (authorizer: Authorizer.Authorizer) => Effect.Effect<void>
  /** A request is over. */
  readonly leave: (exchange: AdmittedExchange.Exchange) => void
}

export interface Options {
  /** The intentions in force. */
  readonly authorizer: () => Authorizer.Authorizer
  readonly normalization: PathNormalization.RequestNormalization | undefined
  readonly tokens: Pick<RequestTokens.RequestTokens, "verify">
  readonly log: Pick<AdmissionLog.AdmissionLog, "denied" | "keys">
  readonly refused: RequestRefusals.Record
  /** Called for each that is aborted. */
  readonly aborted: () => void
  readonly run: (verifying: Effect.Effect<void>) => void
}

/** What the tokens of a request say by now, and what follows from it. */
type Settled = Pick<RequestAdmission.Admitted, "decision" | "presented">

export const make = (
  { aborted, authorizer, log, normalization, refused, run, tokens }: Options
): RequestJudge => {
  const admissions = Admissions.make<AdmittedExchange.Exchange, RequestAdmission.Admitted>({
    nameOf: ({ connection }) => connection.caller.service,
    end: (exchange) => {
      aborted()
      exchange.abort()
    }
  })

  /** By the intentions in force, with the tokens that the request carries, verified as far as the verdict depends on them. */
  const settle = (
    exchange: AdmittedExchange.Exchange,
    request: RequestAdmission.Request,
    presented: TokenAdmission.Presented
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

  /** It is recorded, and judged again until it is over. */
  const conclude = (exchange: AdmittedExchange.Exchange, concluded: RequestAdmission.Concluded): void => {
    exchange.concluded = concluded
    if (concluded._tag !== "Admitted") {
      if (concluded._tag === "Denied") exchange.refusal = 403
      return refused(exchange.connection, concluded)
    }
    if (concluded.decision.audited === true) log.denied(exchange.connection, concluded.decision)
    if (!exchange.over) admissions.admit(exchange, concluded)
  }

  const judgeLater = (exchange: AdmittedExchange.Exchange, admitted: RequestAdmission.Admitted) =>
    Effect.flatMap(settle(exchange, admitted.request, admitted.presented), (settled) => {
      if (!settled.decision.allowed) return logEnded(log, admissions.judge(() => settled.decision, [exchange]))
      admissions.amend(exchange, { ...admitted, ...settled })
      return Effect.void
    })

  return {
    leave: admissions.leave,
    judge: (exchange, raw, then) => {
      const judgement = RequestAdmission.judge(authorizer(), exchange.connection.caller, raw, normalization)
      if (judgement._tag !== "Open") {
        conclude(exchange, judgement)
        return then(judgement)
      }
      const { request } = judgement
      run(Effect.map(settle(exchange, request, TokenAdmission.nobody), ({ decision, presented }) => {
        const concluded = RequestAdmission.conclude(request, decision, presented)
        conclude(exchange, concluded)
        // What the application throws is for Node to report, not for a fiber.
        queueMicrotask(() => exchange.over ? undefined : then(concluded))
      }))
    },
    again: (current) =>
      Effect.suspend(() => {
        const ended = admissions.judge((exchange, admitted) => {
          const { decision, open } = TokenAdmission.judge(
            (claims) => decide(current, exchange, admitted.request, claims),
            admitted.presented
          )
          if (open.size === 0) return decision
          // Now it needs a token that nobody asked for when it came. It may carry it all the same.
          run(judgeLater(exchange, admitted))
          return undefined
        })
        return logEnded(log, ended)
      })
  }
}

const decide = (
  authorizer: Authorizer.Authorizer,
  { connection }: AdmittedExchange.Exchange,
  request: RequestAdmission.Request,
  tokens: TokenRequirement.Tokens
): Decision.Decision => RequestAdmission.decide(authorizer, connection.caller, request, tokens)

const logEnded = (
  { keys }: Pick<AdmissionLog.AdmissionLog, "keys">,
  ended: ReadonlyArray<Admissions.Ended<AdmittedExchange.Exchange>>
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
