/**
 * Everything that a proxy needs, from Consul's servers. It reconnects for ever, to another server each time as long as there is one
 * that has not failed, then on a Schedule; in between, what is known stays in force.
 */
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import type * as Tls from "node:tls"
import { Clock, Effect, Queue, Random, Redacted, Schedule, type Scope, Stream } from "effect"
import * as Watched from "../../watch/Watched.ts"
import * as Reading from "../read/Reading.ts"
import * as Ads from "./Ads.ts"
import * as Consul from "./Consul.ts"
import * as Grpc from "./Grpc.ts"
import * as Servers from "./Servers.ts"
import * as Session from "./Session.ts"

export interface Options {
  /** Names are looked up, and may lead to several servers. */
  readonly servers: ReadonlyArray<Grpc.Address>
  /** Undefined: in the clear. */
  readonly tls: Tls.ConnectionOptions | undefined
  readonly whose: Consul.Whose
  /** Undefined: without a token. */
  readonly credentials: Credentials | undefined
  /** Whether servers say which others there are. Default: true. */
  readonly discovers?: boolean | undefined
  /** Between two rounds of all servers. Default: from half a second to 30 seconds, up to a fifth more or less. */
  readonly again?: Schedule.Schedule<unknown> | undefined
}

export type Credentials =
  /** Read again for each connection. */
  | { readonly _tag: "Token"; readonly read: Effect.Effect<Redacted.Redacted<string>, string> }
  | {
    readonly _tag: "Login"
    readonly login: Omit<Consul.Login, "bearer">
    readonly bearer: Effect.Effect<Redacted.Redacted<string>, string>
  }

const backOff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)

/** At once; the first value is there when the servers have said enough to begin. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Watched.Watched<Reading.Reading>, never, Scope.Scope> {
  const { proxyId } = options.whose
  const servers = Servers.make()
  const read = Reading.make(proxyId)
  const heard = yield* Queue.unbounded<Watched.Observation<Reading.Reading>>()
  const warn = warnings(proxyId)
  const tokens = tokensOf(options)
  // What was got by logging in is given back at the end.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      const [token, address] = [tokens.got(), servers.next(0)]
      return token === undefined || address === undefined ? Effect.void : Grpc.connect({
        address,
        tls: tlsOf(options.tls, options.servers, address)
      }).pipe(
        Effect.flatMap((connection) => Consul.logout(connection, token)),
        Effect.scoped,
        Effect.timeoutOption("3 seconds"),
        Effect.ignore
      )
    })
  )
  let known = Ads.nothing
  let answered = false

  const learn = (next: Ads.Known, address: Grpc.Address) =>
    Effect.gen(function*() {
      const isNews = next.state !== known.state
      known = next
      if (!isNews) return
      answered = true
      servers.succeeded(address)
      const reading = read(known.state)
      yield* warn(reading?.flaws ?? [...known.state.flaws.values()].flat())
      if (reading !== undefined) {
        yield* Queue.offer(heard, { _tag: "Answer", value: reading, at: yield* Clock.currentTimeMillis })
      }
    })

  const once = Effect.gen(function*() {
    answered = false
    servers.named(yield* resolved(options.servers))
    const address = servers.next(yield* Random.next)
    if (address === undefined) return yield* unresolved(options.servers)
    const session = Effect.flatMap(
      Grpc.connect({ address, tls: tlsOf(options.tls, options.servers, address) }),
      (connection) =>
        Session.run(connection, {
          whose: options.whose,
          token: tokens.get,
          discovers: options.discovers ?? true,
          servers,
          known: () => known,
          learn: (next) => learn(next, address)
        })
    )
    return yield* Effect.tapError(Effect.scoped(session), (error) => {
      servers.failed(address)
      return Grpc.isAboutToken(error) ? tokens.forget : Effect.void
    })
  }).pipe(
    Effect.tapError((error) => Queue.offer(heard, { _tag: "Failure", error }))
  )
  /** A server that has answered may end the stream to spread the load: another one is asked at once. */
  const round: Effect.Effect<never, Grpc.GrpcError> = Effect.retry(once, {
    while: () => !answered && servers.hasFresh(),
    schedule: Schedule.spaced("100 millis")
  })
  const forever: Effect.Effect<never> = Effect.retry(round, {
    while: () => !answered,
    schedule: options.again ?? backOff
  }).pipe(
    Effect.catch(() =>
      Effect.flatMap(Random.next, (random) => Effect.delay(Effect.suspend(() => forever), random * 1000))
    )
  )
  yield* Effect.forkScoped(forever)
  return yield* Watched.make(
    { what: `what the servers say of ${proxyId}`, watch: "xds", subject: proxyId },
    Stream.fromQueue(heard)
  )
})

/** Each flaw once, and again where it was gone in between. */
const warnings = (proxyId: string) => {
  let said: ReadonlySet<string> = new Set()
  return (flaws: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      const news = [...new Set(flaws)].filter((flaw) => !said.has(flaw))
      said = new Set(flaws)
      return Effect.forEach(
        news,
        (flaw) => Effect.logWarning(`the servers say something of ${proxyId} that is not understood: ${flaw}`),
        { discard: true }
      )
    })
}

interface Tokens {
  readonly get: Session.Options["token"]
  readonly forget: Effect.Effect<void>
  /** The one that was got by logging in. */
  readonly got: () => Redacted.Redacted<string> | undefined
}

const tokensOf = ({ credentials }: Options): Tokens => {
  const none = Redacted.make("")
  const got = () => undefined
  if (credentials === undefined) return { get: () => Effect.succeed(none), forget: Effect.void, got }
  const failed = (connection: Grpc.Connection) => (why: string) =>
    new Grpc.GrpcError({
      server: Grpc.format(connection.address),
      call: "a token",
      reason: new Grpc.NotConnected({ why })
    })
  if (credentials._tag === "Token") {
    return {
      get: (connection) => Effect.mapError(credentials.read, failed(connection)),
      forget: Effect.void,
      got
    }
  }
  let token: Redacted.Redacted<string> | undefined
  return {
    get: (connection) =>
      Effect.suspend(() =>
        token !== undefined ? Effect.succeed(token) : Effect.tap(
          Consul.login(connection, {
            ...credentials.login,
            bearer: Effect.mapError(credentials.bearer, failed(connection))
          }),
          (fresh) =>
            Effect.sync(() => {
              token = fresh
            })
        )
      ),
    got: () => token,
    forget: Effect.sync(() => {
      token = undefined
    })
  }
}

const resolved = (addresses: ReadonlyArray<Grpc.Address>): Effect.Effect<ReadonlyArray<Grpc.Address>> =>
  Effect.map(
    Effect.forEach(addresses, (address) =>
      isIP(address.host) !== 0 ?
        Effect.succeed([address]) :
        Effect.promise(() =>
          lookup(address.host, { all: true }).then(
            (found) => found.map(({ address: host }) => ({ host, port: address.port })),
            () => []
          )
        )),
    (lists) => lists.flat()
  )

const unresolved = (addresses: ReadonlyArray<Grpc.Address>): Grpc.GrpcError =>
  new Grpc.GrpcError({
    server: addresses.map(Grpc.format).join(", "),
    call: "looking it up",
    reason: new Grpc.NotConnected({ why: "there is no such host" })
  })

/** Certificates are for the name that was given, where one was. */
const tlsOf = (
  tls: Tls.ConnectionOptions | undefined,
  addresses: ReadonlyArray<Grpc.Address>,
  address: Grpc.Address
): Tls.ConnectionOptions | undefined => {
  if (tls === undefined || tls.servername !== undefined) return tls
  const [named] = addresses.filter(({ host }) => isIP(host) === 0)
  return { ...tls, ...(named === undefined ? {} : { servername: named.host }), host: address.host }
}
