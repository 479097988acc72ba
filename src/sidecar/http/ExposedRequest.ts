/** A request for an exposed path, and its way to the application: from anybody, and so without a word about who it was. */
import { randomUUID } from "node:crypto"
import type * as Head from "../../http/h1/Head.ts"
import * as AnswerFields from "../../http/relay/AnswerFields.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import * as RequestFields from "../../http/relay/RequestFields.ts"
import type * as RetryBudget from "../../http/relay/RetryBudget.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as RequestFacts from "./RequestFacts.ts"
import * as RequestStart from "./RequestStart.ts"

/** What the requests of one listener have in common. */
export interface Shared {
  readonly application: () => Exchange.Connections
  /** Envoy's name of it. */
  readonly cluster: () => string
  readonly marks: Marks.Marks
  readonly budget: RetryBudget.RetryBudget
  readonly log: () => AccessLogWriter.Log | undefined
}

export class ExposedRequest implements Relay.Plan {
  readonly retry = undefined
  readonly budget: RetryBudget.RetryBudget
  readonly timeoutMillis: number | undefined
  readonly idleMillis: number | undefined
  readonly #shared: Shared
  readonly #server: Exchange.ServerExchange
  readonly #start: RequestStart.RequestStart
  /** Empty: it brought one. */
  readonly #requestId: string
  readonly #startTime = Date.now()
  #answer: Exchange.AnswerHead | undefined

  constructor(
    shared: Shared,
    { idleTimeoutMillis, timeoutMillis }: ProxyRegistration.Registration["requests"],
    server: Exchange.ServerExchange,
    start: RequestStart.RequestStart
  ) {
    this.#shared = shared
    this.#server = server
    this.#start = start
    this.#requestId = start.requestId >= 0 ? "" : randomUUID()
    this.budget = shared.budget
    this.timeoutMillis = timeoutMillis
    this.idleMillis = idleTimeoutMillis
  }

  next(): Relay.Destination {
    const start = this.#start
    return {
      connections: this.#shared.application(),
      head: {
        method: start.method,
        target: start.path,
        fields: start.fields,
        dropped: RequestStart.withDropped(start, start.clientCert),
        more: this.#more(),
        body: RequestStart.bodyOf(this.#server.request),
        upgrades: start.upgrades
      },
      settled: () => {}
    }
  }

  answer(head: Head.Answer, tookMillis: number | undefined): Exchange.AnswerHead {
    const { request, version } = this.#server
    const { marks } = this.#shared
    return this.#answer = AnswerFields.head(head, { method: request.method, version, marks, tookMillis })
  }

  own(answer: OwnAnswer.OwnAnswer): OwnAnswer.Sent {
    const sent = OwnAnswer.sent(answer, this.#server, this.#shared.marks)
    this.#answer = sent.head
    return sent
  }

  finished(report: Relay.Report): void {
    const log = this.#shared.log()
    if (log === undefined) return
    const answer = this.#answer
    const about: RequestFacts.About = {
      server: this.#server,
      view: RequestStart.viewOf(this.#start, this.#requestId, this.#server),
      startTime: this.#startTime,
      cluster: this.#shared.cluster()
    }
    log(RequestFacts.of(about, report, answer === undefined ? undefined : RequestStart.reader(answer)))
  }

  /** What the proxy adds. */
  #more(): string {
    const start = this.#start
    const timeout = this.timeoutMillis
    return RequestStart.hostLine(start) +
      (start.forwardedProto >= 0 ? "" : "x-forwarded-proto: http\r\n") +
      (this.#requestId === "" ? "" : `x-request-id: ${this.#requestId}\r\n`) +
      (timeout === undefined || !this.#shared.marks.expectedTimeout
        ? ""
        : `x-envoy-expected-rq-timeout-ms: ${timeout}\r\n`) +
      RequestFields.restatedLines(start)
  }
}
