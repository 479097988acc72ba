/** Where a request of the application goes: by its route, to an instance of one of its legs, once or several times. */
import { randomUUID } from "node:crypto"
import type { Tracer } from "effect"
import * as Fields from "../../http/h1/Fields.ts"
import type * as Head from "../../http/h1/Head.ts"
import * as AnswerFields from "../../http/relay/AnswerFields.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import * as RequestFields from "../../http/relay/RequestFields.ts"
import type * as RequestView from "../../http/relay/RequestView.ts"
import type * as RetryBudget from "../../http/relay/RetryBudget.ts"
import type * as HttpMetrics from "../../observe/HttpMetrics.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import * as Destination from "../../outbound/Destination.ts"
import type * as HttpUpstream from "../../outbound/http/HttpUpstream.ts"
import type * as Upstream from "../../outbound/http/Upstream.ts"
import * as Tried from "../../outbound/Tried.ts"
import * as HeaderRules from "../../route/HeaderRules.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as Retry from "../../route/Retry.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import type * as MeshPools from "./MeshPools.ts"
import * as RequestFacts from "./RequestFacts.ts"
import * as RequestSpan from "./RequestSpan.ts"
import * as RequestStart from "./RequestStart.ts"

/** What the requests to one upstream have in common. */
export interface Shared {
  /** In whose name they are sent. */
  readonly source: string
  readonly upstream: Upstream.Upstream<MeshPools.MeshPool>
  readonly marks: Marks.Marks
  readonly budget: RetryBudget.RetryBudget
  readonly metrics: HttpMetrics.HttpMetrics
  /** Counts a request by its route and its target. */
  readonly routed: (route: string, target: string, code: number | string) => void
  /** Undefined: nobody collects spans. */
  readonly tracer: Tracer.Tracer | undefined
  /** Hears of a request that the mesh has refused, by the address of the instance. */
  readonly refused: (remote: string) => void
  /** Undefined: there is no access log. */
  readonly log: () => AccessLogWriter.Log | undefined
  /** By which clients come. */
  readonly scheme: "http" | "https"
  /** What a request is answered that no route takes. */
  readonly unrouted: OwnAnswer.OwnAnswer
}

type Picked = Upstream.Picked<MeshPools.MeshPool>
type Instance = HttpUpstream.Instance<MeshPools.MeshPool>

/** Envoy's, where no route says otherwise. */
const timeoutMillis = 15_000
const idleMillis = 300_000

/** As `effect-mesh route` numbers them. */
const routeName = ({ position, written }: HttpRoutes.Route): string => written ? String(position + 1) : "default"

export class UpstreamPlan implements Relay.Plan {
  readonly retry: Retry.Retry | undefined
  readonly budget: RetryBudget.RetryBudget
  readonly timeoutMillis: number | undefined
  readonly idleMillis: number | undefined
  readonly #shared: Shared
  readonly #server: Exchange.ServerExchange
  readonly #start: RequestStart.RequestStart
  readonly #requestId: string
  readonly #view: RequestView.RequestView
  readonly #first: ReturnType<Upstream.Upstream<MeshPools.MeshPool>["pick"]>
  readonly #startTime = Date.now()
  #isFirst = true
  /** Where it has been, once that matters. */
  #tried: Tried.Attempts | undefined
  #instance: Instance | undefined
  /** The address of the instance that was asked last. */
  #reached: string | undefined
  /** Of the last attempt. */
  #target: Instance["target"] | undefined
  #answer: Exchange.AnswerHead | undefined
  readonly #span: RequestSpan.RequestSpan | undefined

  constructor(shared: Shared, server: Exchange.ServerExchange, start: RequestStart.RequestStart) {
    this.#shared = shared
    this.#server = server
    this.#start = start
    this.budget = shared.budget
    this.#requestId = start.requestId >= 0 ? "" : randomUUID()
    this.#view = RequestStart.viewOf(start, this.#requestId, server, shared.scheme)
    this.#first = shared.upstream.pick(Tried.none, this.#view)
    // From here on it is counted, also if it comes to no attempt.
    if ("upstream" in this.#first) this.#instance = this.#first.instance
    const way = "upstream" in this.#first ? this.#first.way : undefined
    const { source, tracer, upstream } = shared
    this.#span = tracer === undefined ? undefined : RequestSpan.begin(tracer, start.fields, {
      kind: "client",
      method: start.method,
      source,
      destination: upstream.service
    })
    this.retry = way?.route.retry
    this.timeoutMillis = way === undefined ? timeoutMillis : way.route.requestTimeoutMillis
    this.idleMillis = way === undefined ? idleMillis : way.route.idleTimeoutMillis
  }

  next(): Relay.Destination | OwnAnswer.OwnAnswer {
    const first = this.#first
    if (!("upstream" in first)) {
      return first._tag === "UnknownName" ? this.#shared.unrouted : OwnAnswers.noHealthyInstance
    }
    if (this.#isFirst) {
      this.#isFirst = false
      return this.#to(first, first.instance)
    }
    const { has } = this.#remembered()
    const instance = first.upstream.pick({ has }, first.hashed.hash)
    return "resource" in instance ? this.#goOn(first, instance) : OwnAnswers.noHealthyInstance
  }

  elsewhere(mayBeSame: boolean): Relay.Destination | undefined {
    const first = this.#first
    if (!("upstream" in first)) return undefined
    const tried = this.#remembered()
    const instance = first.upstream.pick(tried, first.hashed.hash)
    if (!("resource" in instance)) return undefined
    if (mayBeSame || !tried.has(instance.id)) return this.#goOn(first, instance)
    instance.end()
    return undefined
  }

  #remembered(): Tried.Attempts {
    this.#tried ??= new Tried.Attempts()
    if (this.#instance !== undefined) this.#tried.add(this.#instance)
    return this.#tried
  }

  #goOn(first: Picked, instance: Instance): Relay.Destination {
    this.#left()
    this.#instance = instance
    return this.#to(first, instance)
  }

  #to(first: Picked, instance: Instance): Relay.Destination {
    this.#target = instance.target
    this.#reached = instance.address
    return {
      connections: instance.resource,
      head: this.#head(first, instance),
      settled: (outcome) => {
        // A limit of ours says nothing about the instance.
        if (outcome !== undefined && outcome._tag !== "Overflowed") {
          first.upstream.report(instance, isSuccess(outcome))
        }
      }
    }
  }

  answer(head: Head.Answer, tookMillis: number | undefined): Exchange.AnswerHead {
    const { marks } = this.#shared
    const { request, version } = this.#server
    const answer = AnswerFields.head(head, { method: request.method, version, marks, tookMillis })
    const changed = this.#changed(answer)
    this.#answer = changed
    return changed
  }

  own(answer: OwnAnswer.OwnAnswer): OwnAnswer.Sent {
    const sent = OwnAnswer.sent(answer, this.#server, this.#shared.marks)
    this.#answer = sent.head
    return sent
  }

  finished(report: Relay.Report): void {
    const { metrics, source, upstream } = this.#shared
    this.#left()
    const code = codeOf(report)
    metrics.answered(
      source,
      upstream.service,
      code,
      report.since,
      () => RequestSpan.traceOf(this.#span, this.#start)
    )
    const first = this.#first
    const way = "upstream" in first ? first.way : undefined
    if (this.#target !== undefined) {
      this.#shared.routed(way === undefined ? "" : routeName(way.route), this.#target.id, code)
    }
    this.#span?.end(report)
    if (this.#reached !== undefined && this.#answer !== undefined && isRefusal(this.#answer)) {
      this.#shared.refused(this.#reached)
    }
    const log = this.#shared.log()
    if (log === undefined) return
    const answer = this.#answer
    log(RequestFacts.of(this.#sent(), report, answer === undefined ? undefined : RequestStart.reader(answer)))
  }

  #left(): void {
    this.#instance?.end()
    this.#instance = undefined
  }

  #head({ way }: Picked, instance: Instance): Exchange.RequestHead {
    const start = this.#start
    const { fields, path } = start
    const target = way === undefined ? path : HttpRoutes.rewritten(way.route, path)
    const head = {
      method: start.method,
      target,
      fields,
      dropped: this.#span === undefined && target === path
        ? this.#view.dropped
        : RequestStart.withoutNamed(fields, this.#view.dropped, [
          ...(this.#span === undefined ? [] : RequestSpan.names),
          ...(target === path ? [] : ["x-envoy-original-path"])
        ]),
      more: this.#more(target),
      body: RequestStart.bodyOf(this.#server.request),
      upgrades: start.upgrades
    }
    const rules = way === undefined ? undefined : rulesOf(way, "request")
    if (rules === undefined) return head
    const changed = HeaderRules.applyAll(rules, RequestStart.toRaw(head), this.#facts(instance))
    return { ...head, fields: Fields.ofRaw(changed), dropped: [], more: "" }
  }

  /** What the proxy adds. */
  #more(target: string): string {
    const start = this.#start
    const timeout = this.timeoutMillis
    return RequestStart.hostLine(start) +
      (this.#span?.lines ?? "") +
      (start.forwardedProto >= 0 ? "" : `x-forwarded-proto: ${this.#shared.scheme}\r\n`) +
      (start.requestId >= 0 ? "" : `x-request-id: ${this.#requestId}\r\n`) +
      (target === start.path || !this.#shared.marks.originalPath ? "" : `x-envoy-original-path: ${start.path}\r\n`) +
      (timeout === undefined || !this.#shared.marks.expectedTimeout
        ? ""
        : `x-envoy-expected-rq-timeout-ms: ${timeout}\r\n`) +
      RequestFields.restatedLines(start)
  }

  #changed(answer: Exchange.AnswerHead): Exchange.AnswerHead {
    const first = this.#first
    if (!("upstream" in first) || this.#instance === undefined) return answer
    const { setCookie } = first.hashed
    const rules = first.way === undefined ? undefined : rulesOf(first.way, "response")
    if (rules === undefined) {
      return setCookie === undefined ? answer : { ...answer, more: `${answer.more}set-cookie: ${setCookie}\r\n` }
    }
    const facts = this.#facts(this.#instance, answer)
    const changed = HeaderRules.applyAll(rules, RequestStart.toRaw(answer), facts)
    const all = setCookie === undefined ? changed : [...changed, "set-cookie", setCookie]
    return { ...answer, fields: Fields.ofRaw(all), dropped: [], more: "" }
  }

  #about(): RequestFacts.About {
    return {
      server: this.#server,
      view: this.#view,
      startTime: this.#startTime,
      cluster: this.#target === undefined ? clusterOf(this.#first) : Destination.clusterOf(this.#target)
    }
  }

  /** The same of the request as it was sent. */
  #sent(): RequestFacts.About {
    const about = this.#about()
    const { path } = this.#start
    const way = "upstream" in this.#first ? this.#first.way : undefined
    const target = way === undefined ? path : HttpRoutes.rewritten(way.route, path)
    if (target === path) return about
    const view = this.#view
    return {
      ...about,
      view: {
        method: view.method,
        path: target,
        header: (name) => name === "x-envoy-original-path" ? path : view.header(name),
        lines: (name) => view.lines(name)
      }
    }
  }

  #facts(instance: Instance, answer?: Exchange.AnswerHead): Substitution.Facts {
    const facts = RequestFacts.of(
      this.#about(),
      undefined,
      answer === undefined ? undefined : RequestStart.reader(answer)
    )
    return {
      ...facts,
      operator: (name) => {
        switch (name) {
          // A request is changed before it is known where it goes.
          case "UPSTREAM_HOST":
          case "UPSTREAM_REMOTE_ADDRESS":
            return answer === undefined ? undefined : instance.address
          case "RESPONSE_CODE":
            return answer?.status ?? 0
          case "RESPONSE_CODE_DETAILS":
            return answer === undefined ? undefined : "via_upstream"
          case "RESPONSE_FLAGS":
            return "-"
          default:
            return facts.operator(name)
        }
      }
    }
  }
}

/** Applications that answer 403 have words of their own. */
const isRefusal = (answer: Exchange.AnswerHead): boolean => {
  const field = RequestStart.reader(answer)
  return answer.status === 403
    ? field("content-length") === String(denied.length) && field("content-type") === "text/plain"
    : answer.status === 200 && answer.body === "none" && field("grpc-status") === "7" &&
      field("grpc-message")?.replaceAll("%20", " ") === denied
}

const denied = "RBAC: access denied"

const clusterOf = (picked: ReturnType<Upstream.Upstream<MeshPools.MeshPool>["pick"]>): string | undefined =>
  "upstream" in picked
    ? Destination.clusterOf(picked.instance.target)
    : picked._tag === "NoHealthyInstance"
    ? picked.cluster
    : undefined

/** Undefined: nothing changes. A leg's rules go before those of its route. */
const rulesOf = (
  { leg, route }: Upstream.Way,
  of: "request" | "response"
): ReadonlyArray<HeaderRules.HeaderRules | undefined> | undefined =>
  leg.changes[of] === undefined && route.changes[of] === undefined ? undefined : [leg.changes[of], route.changes[of]]

const isSuccess = (outcome: Retry.Outcome): boolean => outcome._tag === "Answered" && outcome.status < 500

export const codeOf = ({ end, own, status }: Relay.Report): number | string => {
  switch (end) {
    case "answered":
      return own?.status ?? status
    case "gone":
      return "cancelled"
    case "cut":
    case "timed_out":
    case "denied":
      return "reset"
  }
}
