/** A request that is answered without a look at where it would go. */
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as RequestView from "../../http/relay/RequestView.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as RequestFacts from "./RequestFacts.ts"
import * as RequestStart from "./RequestStart.ts"

export interface Options {
  readonly marks: Marks.Marks
  readonly log: () => AccessLogWriter.Log | undefined
}

export const answer = (server: Exchange.ServerExchange, own: OwnAnswer.OwnAnswer, { log, marks }: Options): void => {
  const { body, head } = OwnAnswer.sent(own, server, marks)
  server.answer(head)
  if (body !== undefined) server.write(body)
  server.end(undefined)
  const write = log()
  if (write === undefined) return
  const { fields, method, target: path } = server.request
  const about: RequestFacts.About = {
    server,
    view: new RequestView.RequestView(method, path, server, fields, [], []),
    startTime: Date.now(),
    cluster: undefined
  }
  const report = {
    end: "answered",
    status: head.status,
    own,
    attempts: 0,
    received: 0,
    sent: body?.length ?? 0,
    head: undefined,
    trailers: undefined,
    upstream: undefined,
    failure: undefined,
    since: performance.now(),
    tookMillis: undefined
  } as const
  write(RequestFacts.of(about, report, RequestStart.reader(head)))
}
