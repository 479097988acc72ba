/** A proxy of HTTP/1.1 in front of an instance, without a mesh: what `Http1Server`, `Relay` and `Http1Connections` make of bytes. */
import * as Net from "node:net"
import { Effect, FiberSet, type Scope } from "effect"
import * as Circuit from "../../src/http/relay/Circuit.ts"
import * as AnswerFields from "../../src/http/relay/AnswerFields.ts"
import * as Deadlines from "../../src/http/relay/Deadlines.ts"
import type * as Exchange from "../../src/http/relay/Exchange.ts"
import * as Http1Connections from "../../src/http/relay/Http1Connections.ts"
import type * as Instance from "../../src/http/relay/Instance.ts"
import * as Http1Server from "../../src/http/relay/Http1Server.ts"
import * as Marks from "../../src/http/relay/Marks.ts"
import * as OwnAnswer from "../../src/http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../src/http/relay/OwnAnswers.ts"
import * as Relay from "../../src/http/relay/Relay.ts"
import * as RequestFields from "../../src/http/relay/RequestFields.ts"
import * as RetryBudget from "../../src/http/relay/RetryBudget.ts"
import * as HttpLimits from "../../src/http/HttpLimits.ts"
import * as Splice from "../../src/net/Splice.ts"
import type * as Retry from "../../src/route/Retry.ts"
import * as RefusedRequest from "../../src/sidecar/http/RefusedRequest.ts"
import * as RequestStart from "../../src/sidecar/http/RequestStart.ts"
import * as Sockets from "./sockets.ts"

export interface Options {
  readonly retry?: Retry.Retry
  readonly limits?: Partial<Circuit.Limits>
  readonly timeoutMillis?: number
  readonly isAcrossMesh?: boolean
  readonly maxAgeMillis?: number
  /** Where each request goes before it goes to the instance, if it may. */
  readonly first?: Exchange.Connections
  /** Whether it may go to the instance once more. */
  readonly again?: boolean
  /** Called with each request before it goes on. True: it waits until `begin` is called. */
  readonly hold?: (begin: () => void) => boolean
  /** Whether the request is refused instead of relayed. */
  readonly denies?: (path: string) => boolean
}

export interface Proxy {
  readonly port: number
  readonly circuit: Circuit.Circuit
  readonly budget: RetryBudget.RetryBudget
  readonly deadlines: Deadlines.Deadlines
  readonly reports: ReadonlyArray<Relay.Report>
  readonly connections: Http1Connections.Http1Connections
  /** The sockets of clients. */
  readonly clients: ReadonlyArray<Net.Socket>
}

const open = (port: number): Effect.Effect<Splice.Side, Instance.Unreachable> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
    socket.on("error", (cause) => resume(Effect.fail({ timedOut: false, why: cause.message })))
    socket.once("connect", () => resume(Effect.succeed(Splice.plain(socket))))
  })

/** What is decided about each request: it goes to the one instance there is. */
const planOf = (
  server: Exchange.ServerExchange,
  start: RequestStart.RequestStart,
  connections: Exchange.Connections,
  budget: RetryBudget.RetryBudget,
  { again, denies, first, retry, timeoutMillis }: Options,
  finished: (report: Relay.Report) => void
): Relay.Plan => {
  const to = (connections: Exchange.Connections): Relay.Destination => ({
    connections,
    head: {
      method: start.method,
      target: start.path,
      fields: start.fields,
      dropped: RequestStart.withDropped(start, []),
      more: RequestStart.hostLine(start) + RequestFields.restatedLines(start),
      body: RequestStart.bodyOf(server.request),
      upgrades: start.upgrades
    },
    settled: () => {}
  })
  return {
    retry,
    budget,
    timeoutMillis,
    idleMillis: timeoutMillis,
    next: () => denies?.(start.path) === true ? OwnAnswers.denied : to(first ?? connections),
    elsewhere: (mayBeSame) => first !== undefined || (mayBeSame && again === true) ? to(connections) : undefined,
    answer: (head, tookMillis) =>
      AnswerFields.head(head, { method: start.method, version: server.version, marks: Marks.envoy, tookMillis }),
    own: (answer) => OwnAnswer.sent(answer, server, Marks.envoy),
    finished
  }
}

export const make = Effect.fnUntraced(function*(
  instancePort: number,
  options: Options = {}
): Effect.fn.Return<Proxy, never, Scope.Scope> {
  const run = yield* FiberSet.makeRuntime()
  const deadlines = yield* Deadlines.make
  const circuit = Circuit.make(options.limits)
  const budget = RetryBudget.make()
  const reports: Array<Relay.Report> = []
  const connections = new Http1Connections.Http1Connections({
    remote: `127.0.0.1:${instancePort}`,
    open: open(instancePort),
    run,
    circuit,
    idleMillis: 60_000,
    maxAgeMillis: options.maxAgeMillis,
    isAcrossMesh: options.isAcrossMesh
  })
  yield* Effect.addFinalizer(() => connections.destroy)
  const handle = (server: Exchange.ServerExchange): void => {
    const start = RequestStart.read(server)
    if (RequestStart.isRefusal(start)) {
      return RefusedRequest.answer(server, start, { log: () => undefined, marks: Marks.envoy })
    }
    const plan = planOf(server, start, connections, budget, options, (report) => void reports.push(report))
    const begin = () => new Relay.Relay(server, plan, deadlines).start()
    if (options.hold?.(begin) !== true) begin()
  }
  const serving: Http1Server.Options<Splice.Side> = {
    limits: HttpLimits.complete({}),
    maxFields: 100,
    marks: Marks.envoy,
    handle,
    abused: () => {}
  }
  const listener = yield* Sockets.server((socket) => {
    void new Http1Server.Http1Server(Splice.plain(socket), serving, false)
  })
  return { port: listener.port, circuit, budget, deadlines, reports, connections, clients: listener.sockets }
})
