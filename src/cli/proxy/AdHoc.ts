/**
 * A proxy that flags describe, and no registration: `--service web --upstream db:8181`, `--service web --service-addr
 * 127.0.0.1:8080 --listen :8443`. The forms are those of `consul connect proxy`.
 */
import { Duration, Effect, Option, Result } from "effect"
import * as Proxy from "../../consul/Proxy.ts"
import * as KeptRegistration from "../../mesh/KeptRegistration.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Addresses from "../../watch/registration/Addresses.ts"
import type * as Flags from "./Flags.ts"
import { noneNamed, UsageError } from "./Registered.ts"

export type Options = Pick<
  Flags.Options,
  "service" | "serviceAddr" | "listen" | "upstream" | "register" | "registerId"
>

export interface AdHoc {
  readonly registration: ProxyRegistration.Registration
  /** Whether the agent is told of it. */
  readonly register: boolean
}

/** The proxy that the flags describe. */
export const described = (options: Options): Result.Result<AdHoc, UsageError> =>
  Result.flatMap(
    Result.mapError(parse(options), (why) => new UsageError({ why })),
    (adHoc) => adHoc === undefined ? Result.fail(noneNamed) : Result.succeed(adHoc)
  )

/** A registration that is named wins over them, as it does for Consul's own. */
export const warnIfGiven = (options: Options): Effect.Effect<void> => {
  const ignored = given(options)
  return ignored.length === 0 ? Effect.void : Effect.logWarning(
    `${ignored.join(", ")}: ignored, as a registered proxy is named. What it does is said in its registration`
  )
}

/** Which of its flags are set. */
const given = (options: Options): ReadonlyArray<string> => [
  ...(["service", "serviceAddr", "listen", "registerId"] as const)
    .filter((key) => Option.isSome(options[key]))
    .map((key) => names[key]),
  ...(options.upstream.length > 0 ? ["--upstream"] : []),
  ...(options.register ? ["--register"] : [])
]

const names = { service: "--service", serviceAddr: "--service-addr", listen: "--listen", registerId: "--register-id" }

/** Undefined: the flags name a registration. Fails with what is wrong, for people. */
export const parse = (options: Options): Result.Result<AdHoc | undefined, string> =>
  Result.gen(function*() {
    const service = Option.getOrUndefined(options.service)
    const listenText = Option.getOrUndefined(options.listen)
    const applicationText = Option.getOrUndefined(options.serviceAddr)
    if (service === undefined) {
      return options.register
        ? yield* Result.fail("--register registers a proxy that flags describe: give --service and --listen with it")
        : undefined
    }
    if (options.register && listenText === undefined) {
      return yield* Result.fail("--register needs an address where callers connect: give --listen [HOST]:PORT")
    }
    if (listenText === undefined && options.upstream.length === 0) {
      return yield* Result.fail(
        `nothing to do for ${service}: give --upstream NAME:PORT to call others, or --listen [HOST]:PORT and ` +
          "--service-addr HOST:PORT to be called"
      )
    }
    if (listenText !== undefined && applicationText === undefined) {
      return yield* Result.fail("--listen needs to know where the application is: give --service-addr HOST:PORT")
    }
    const listen = listenText === undefined ? undefined : yield* hostPort("--listen", listenText, "0.0.0.0")
    const application = applicationText === undefined
      ? undefined
      : yield* hostPort("--service-addr", applicationText, "127.0.0.1")
    // The last one of a name holds.
    const upstreams = new Map<string, Proxy.Upstream>()
    for (const text of options.upstream) {
      const upstream = yield* parseUpstream(text)
      upstreams.set(`${upstream.DestinationType} ${upstream.DestinationName}`, upstream)
    }
    const proxy = Proxy.Proxy.make({
      DestinationServiceName: service,
      LocalServiceAddress: application?.host ?? "",
      LocalServicePort: application?.port ?? 0,
      Upstreams: [...upstreams.values()]
    })
    const proxyId = Option.match(options.registerId, {
      onNone: () => nameOf(service),
      onSome: (suffix) => `${nameOf(service)}-${suffix}`
    })
    return { registration: ProxyRegistration.fromProxy(proxyId, listen, proxy), register: options.register }
  })

/** As `consul connect proxy` registers it. */
const nameOf = (service: string): string => `${service}-proxy`

/** `NAME[.service|.query]:[HOST:]PORT`. */
export const parseUpstream = (text: string): Result.Result<Proxy.Upstream, string> =>
  Result.gen(function*() {
    const colon = text.indexOf(":")
    const [name = "", type = "service", ...more] = text.slice(0, colon).split(".")
    if (colon < 1 || name === "") {
      return yield* Result.fail(`--upstream is ${JSON.stringify(text)}: write NAME:PORT or NAME:HOST:PORT`)
    }
    if (!["", "service", "query"].includes(type) || more.length > 0) {
      return yield* Result.fail(
        `--upstream is ${JSON.stringify(text)}: after the name comes nothing, .service or .query (a prepared query)`
      )
    }
    const address = text.slice(colon + 1)
    const { host, port } = yield* hostPort(
      `the address of --upstream ${name}`,
      address.includes(":") ? address : `:${address}`,
      "127.0.0.1"
    )
    return Proxy.Upstream.make({
      DestinationName: name,
      DestinationType: type === "query" ? "prepared_query" : "service",
      LocalBindAddress: host,
      LocalBindPort: port
    })
  })

/** `HOST:PORT`, `:PORT` or `[IPv6]:PORT`. */
export const hostPort = (
  what: string,
  text: string,
  noHost: string
): Result.Result<ProxyRegistration.Listen, string> => {
  const [, bracketed, plain = "", digits = ""] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text) ?? []
  const port = Number(digits)
  return digits === "" || port === 0 || !Addresses.isPort(port)
    ? Result.fail(`${what} is ${JSON.stringify(text)}: write HOST:PORT, with a port from 1 to 65535`)
    : Result.succeed({ host: (bracketed ?? plain) || noHost, port })
}

/** Without an answer for so long, the agent takes it for dead. */
const ttlSeconds = 30

/** Has the agent know of it until the scope closes. The sidecar, which closes after that, serves those who have not heard. */
export const register = ({ listen, proxyId, service }: ProxyRegistration.Registration) => {
  const anyAddress = listen === undefined || ["0.0.0.0", "::"].includes(listen.host)
  return KeptRegistration.make({
    definition: {
      Kind: "connect-proxy",
      Name: nameOf(service),
      ID: proxyId,
      Port: listen?.port ?? 0,
      // Empty: that of the agent's node.
      Address: anyAddress ? "" : listen.host,
      Proxy: { DestinationServiceName: service },
      Check: { CheckID: `${proxyId}-ttl`, Name: "proxy heartbeat", TTL: `${ttlSeconds}s`, Status: "passing" }
    },
    check: {
      id: `${proxyId}-ttl`,
      period: Duration.seconds(ttlSeconds / 3),
      tell: Effect.succeed({ status: "passing", output: "" }),
      last: () => "passing"
    }
  })
}
