/** A request from the mesh that has been let in, or waits for it, and its way to the application. */
import { randomUUID } from "node:crypto"
import type { Tracer } from "effect"
import type * as Head from "../../http/h1/Head.ts"
import type * as Lines from "../../http/h1/Lines.ts"
import * as AnswerFields from "../../http/relay/AnswerFields.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import * as RequestFields from "../../http/relay/RequestFields.ts"
import * as RequestView from "../../http/relay/RequestView.ts"
import type * as RetryBudget from "../../http/relay/RetryBudget.ts"
import * as RequestChanges from "../../http/RequestChanges.ts"
import type * as Connection from "../../inbound/Connection.ts"
import type * as AdmittedExchange from "../../inbound/http/AdmittedExchange.ts"
import type * as RequestAdmission from "../../inbound/http/RequestAdmission.ts"
import * as TokenAdmission from "../../inbound/http/TokenAdmission.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Decision from "../../intention/Decision.ts"
import type * as Meter from "../../observe/Meter.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as RequestFacts from "./RequestFacts.ts"
import * as RequestSpan from "./RequestSpan.ts"
import * as RequestStart from "./RequestStart.ts"

/** What the requests of one listener have in common. */
export interface Shared {
  readonly application: (version: Exchange.Version) => Exchange.Connections
  readonly marks: Marks.Marks
  /** Undefined: nobody collects spans. */
  readonly tracer: Tracer.Tracer | undefined
  readonly service: () => string
  readonly budget: RetryBudget.RetryBudget
  readonly log: () => AccessLogWriter.Log | undefined
  /** For the access log: a path as it is judged, and by what a request was refused. */
  readonly normalized: (path: string) => string
  readonly refusedBy: (decision: Decision.Decision) => string
  /** It is over. */
  readonly closed: (request: InboundRequest) => void
}

/** The caller on a connection. */
export interface Caller {
  readonly connection: Connection.Connection
  /** Of `x-forwarded-client-cert`. */
  readonly certificate: () => string
  readonly own: SpiffeId.Service
}

export class InboundRequest implements Relay.Plan, AdmittedExchange.Judged {
  readonly server: Exchange.ServerExchange
  readonly start: RequestStart.RequestStart
  readonly since = performance.now()
  concluded: RequestAdmission.Concluded | undefined
  refusal: number | undefined
  over = false
  relay: Relay.Relay | undefined
  readonly retry = undefined
  readonly budget: RetryBudget.RetryBudget
  readonly timeoutMillis: number | undefined
  readonly idleMillis: number | undefined
  readonly #shared: Shared
  readonly #protocol: ProxyRegistration.Registration["protocol"]
  readonly #caller: Caller
  /** Positions of fields that the application does not get, ascending. */
  readonly #dropped: ReadonlyArray<number>
  /** What the proxy says of the request, as lines: judged and sent on like what came. */
  readonly #said: string
  readonly #startTime = Date.now()
  /** The one that it did not bring. */
  readonly #requestId: string | undefined
  #report: Relay.Report | undefined
  #answer: Exchange.AnswerHead | undefined
  readonly #span: RequestSpan.RequestSpan | undefined

  constructor(
    shared: Shared,
    settings: ProxyRegistration.Registration,
    caller: Caller,
    server: Exchange.ServerExchange,
    start: RequestStart.RequestStart,
    hidden: ReadonlyArray<number>,
    tellsCaller: boolean
  ) {
    this.#shared = shared
    this.#caller = caller
    this.#protocol = settings.protocol
    this.server = server
    this.start = start
    this.budget = shared.budget
    this.timeoutMillis = settings.requests.timeoutMillis
    this.idleMillis = settings.requests.idleTimeoutMillis
    this.#dropped = RequestStart.withDropped(start, [...start.clientCert, ...hidden])
    const { tracer } = shared
    this.#span = tracer === undefined ? undefined : RequestSpan.begin(tracer, start.fields, {
      kind: "server",
      method: start.method,
      source: caller.connection.caller.service,
      destination: shared.service()
    })
    this.#requestId = start.requestId >= 0 ? undefined : randomUUID()
    this.#said = RequestStart.hostLine(start) +
      (start.forwardedProto >= 0 ? "" : "x-forwarded-proto: https\r\n") +
      (this.#requestId === undefined ? "" : `x-request-id: ${this.#requestId}\r\n`) +
      (tellsCaller ? `x-forwarded-client-cert: ${caller.certificate()}\r\n` : "") +
      RequestFields.restatedLines(start)
  }

  get connection(): Connection.Connection {
    return this.#caller.connection
  }

  /** Of what went out, once it is over. */
  get code(): number | "reset" {
    const report = this.#report
    return report === undefined || report.status === 0 || report.end === "cut" || report.end === "denied"
      ? "reset"
      : this.refusal ?? report.own?.status ?? report.status
  }

  /** Undefined: the connection speaks something else by now. */
  get answered(): object | undefined {
    return this.#report?.status === 101 ? undefined : this
  }

  /** Where it is found. */
  get trace(): Meter.Trace | undefined {
    return RequestSpan.traceOf(this.#span, this.start)
  }

  /** As it is judged: what is not sent on is not looked at. */
  get raw(): RequestAdmission.Raw {
    const { authority, fields, method, path } = this.start
    return new SaidRequest(method, path, authority, { fields, dropped: this.#dropped, more: this.#said })
  }

  /** Ends it, so that the caller does not take what it has for a whole answer. */
  abort(): void {
    if (this.relay === undefined) this.server.abort()
    else this.relay.deny()
  }

  next(): Relay.Destination | OwnAnswer.OwnAnswer {
    const { concluded } = this
    if (concluded?._tag !== "Admitted") return concluded === undefined ? OwnAnswers.noRoute : refusalOf(concluded)
    const version = this.#protocol === "http" || this.#protocol === "tcp" ? "1.1" : this.server.version
    return {
      connections: this.#shared.application(version),
      head: this.#head(concluded),
      settled: () => {}
    }
  }

  /** There is one application: only a connection to it can be another one. */
  elsewhere(mayBeSame: boolean): Relay.Destination | undefined {
    const next = mayBeSame ? this.next() : undefined
    return next !== undefined && "connections" in next ? next : undefined
  }

  answer(head: Head.Answer, tookMillis: number | undefined): Exchange.AnswerHead {
    const { request, version } = this.server
    return this.#answer = AnswerFields.head(head, {
      method: request.method,
      version,
      marks: this.#shared.marks,
      tookMillis
    })
  }

  own(answer: OwnAnswer.OwnAnswer): OwnAnswer.Sent {
    const sent = OwnAnswer.sent(answer, this.server, this.#shared.marks)
    this.#answer = sent.head
    return sent
  }

  finished(report: Relay.Report): void {
    this.#report = report
    this.over = true
    this.#shared.closed(this)
    this.#span?.end(report)
    const log = this.#shared.log()
    if (log === undefined) return
    const answer = this.#answer
    log(RequestFacts.of(this.#about(), report, answer === undefined ? undefined : RequestStart.reader(answer)))
  }

  #head({ presented, request }: RequestAdmission.Admitted): Exchange.RequestHead {
    const { start } = this
    const changes = presented.size === 0 ? undefined : TokenAdmission.changes(presented)
    return {
      method: start.method,
      target: changes === undefined || changes.parameters.length === 0
        ? request.path
        : RequestChanges.withoutParameters(request.path, changes.parameters),
      fields: start.fields,
      dropped: changes === undefined && this.#span === undefined
        ? this.#dropped
        : RequestStart.withoutNamed(start.fields, this.#dropped, [
          ...changes?.remove ?? [],
          ...(this.#span === undefined ? [] : RequestSpan.names)
        ]),
      more: this.#more(changes?.add ?? []),
      body: RequestStart.bodyOf(this.server.request),
      upgrades: start.upgrades
    }
  }

  /** What the proxy adds. */
  #more(added: ReadonlyArray<readonly [name: string, value: string]>): string {
    let more = this.#said + (this.#span?.lines ?? "")
    for (const [name, value] of added) more += `${name}: ${value}\r\n`
    if (this.timeoutMillis !== undefined && this.#shared.marks.expectedTimeout) {
      more += `x-envoy-expected-rq-timeout-ms: ${this.timeoutMillis}\r\n`
    }
    return more
  }

  #about(): RequestFacts.About {
    const { concluded, start } = this
    const { connection, own } = this.#caller
    const requestId = this.#requestId
    return {
      server: this.server,
      view: new RequestView.RequestView(
        start.method,
        this.#shared.normalized(start.path),
        this.server,
        start.fields,
        this.#dropped,
        [
          ...(start.authority === undefined ? [] : ["host", start.authority]),
          ...(requestId === undefined ? [] : ["x-request-id", requestId])
        ]
      ),
      startTime: this.#startTime,
      cluster: "local_app",
      carrier: connection.carrier,
      details: concluded?._tag === "Denied" ? this.#shared.refusedBy(concluded.decision) : undefined,
      peer: SpiffeId.format(connection.caller),
      identity: SpiffeId.format(own)
    }
  }
}

/** Its headers are listed when somebody asks for them: most intentions look at none. */
class SaidRequest implements RequestAdmission.Raw {
  readonly method: string
  readonly target: string
  readonly authority: string | undefined
  readonly headerCount: number
  readonly #lines: Lines.Lines
  #rawHeaders: ReadonlyArray<string> | undefined

  constructor(method: string, target: string, authority: string | undefined, lines: Lines.Lines) {
    this.method = method
    this.target = target
    this.authority = authority
    this.headerCount = lines.fields.count
    this.#lines = lines
  }

  get rawHeaders(): ReadonlyArray<string> {
    return this.#rawHeaders ??= RequestStart.toRaw(this.#lines)
  }
}

/** In the words of Envoy, whose details say which stage has refused. */
const refusalOf = (refused: RequestAdmission.Refused): OwnAnswer.OwnAnswer => {
  switch (refused._tag) {
    case "Denied":
      return OwnAnswers.denied
    case "Redirected":
      return OwnAnswers.redirected(refused.path)
    case "Malformed":
      return OwnAnswers.malformed("path_normalization_failed")
  }
}
