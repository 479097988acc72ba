/** A proxy that hears everything from Consul's servers: what the flags say of them. */
import { readFile } from "node:fs/promises"
import type * as Tls from "node:tls"
import { Effect, Option, Redacted, Result, type Scope } from "effect"
import * as Credentials from "../../consul/Credentials.ts"
import * as Settings from "../../consul/Settings.ts"
import * as TransportFailure from "../../consul/TransportFailure.ts"
import * as Feed from "../../xds/client/Feed.ts"
import * as Grpc from "../../xds/client/Grpc.ts"
import * as Servers from "../../xds/client/Servers.ts"
import type * as XdsMesh from "../../mesh/XdsMesh.ts"
import * as Consul from "../consul.ts"
import type * as Flags from "./Flags.ts"
import { UsageError } from "./Registered.ts"

export interface Fed {
  readonly proxyId: string
  readonly feed: XdsMesh.Fed
  /** For people: `the servers at 10.0.0.1:8502`. */
  readonly asked: string
}

/** Follows the servers in the scope. Fails on flags that do not fit together, and on files that can not be read. */
export const open = Effect.fnUntraced(function*(
  options: Flags.Options,
  addresses: string
): Effect.fn.Return<
  Fed,
  UsageError | Settings.InvalidSettings | Effect.Error<ReturnType<typeof Settings.fromEnvironment>>,
  Scope.Scope
> {
  const proxyId = yield* Effect.fromResult(only(options))
  const servers = yield* Effect.fromResult(parse(addresses))
  const settings = yield* Settings.fromEnvironment(Consul.settings(options))
  const tls = yield* tlsOf(options, settings)
  const credentials = yield* credentialsOf(options, settings)
  const local = servers.every(({ host }) => host === "localhost" || host === "::1" || host.startsWith("127."))
  if (tls === undefined && !local) {
    yield* Effect.logWarning(
      `the servers at ${addresses} are asked in the clear, and send private keys: name their authority by --grpc-ca-file`
    )
  }
  const feed = yield* Feed.make({
    servers,
    tls,
    credentials,
    discovers: !options.withoutServerDiscovery,
    whose: {
      proxyId,
      nodeName: Option.getOrUndefined(options.nodeName),
      namespace: settings.namespace ?? "",
      partition: settings.partition ?? ""
    }
  })
  return { proxyId, feed, asked: `the servers at ${addresses}` }
})

/** Which proxy it is: servers know them by their IDs alone. */
const only = ({ node, proxyId, service, sidecarFor }: Flags.Options): Result.Result<string, UsageError> =>
  Option.isNone(proxyId) || node || sidecarFor.length > 0 || Option.isSome(service)
    ? Result.fail(
      new UsageError({
        why:
          "--grpc-addr serves one proxy, which is named by --proxy-id ID: leave out --sidecar-for, --node and --service"
      })
    )
    : Result.succeed(proxyId.value)

const parse = (text: string): Result.Result<ReadonlyArray<Grpc.Address>, UsageError> =>
  Result.all(
    text.split(",").map((each) =>
      Result.fromNullishOr(
        Servers.parse(each.trim()),
        () => new UsageError({ why: `--grpc-addr ${JSON.stringify(each)} is no HOST:PORT` })
      )
    )
  )

const tlsOf = Effect.fnUntraced(function*(
  { grpcCaFile, grpcServerName }: Flags.Options,
  { clientCertFile, clientKeyFile }: Settings.Settings
): Effect.fn.Return<Tls.ConnectionOptions | undefined, UsageError> {
  if (Option.isNone(grpcCaFile)) {
    return Option.isNone(grpcServerName)
      ? undefined
      : yield* new UsageError({ why: "--grpc-server-name is for TLS: name an authority by --grpc-ca-file, too" })
  }
  const own = clientCertFile === undefined || clientKeyFile === undefined ? {} : {
    cert: yield* read("--client-cert", clientCertFile),
    key: yield* read("--client-key", clientKeyFile)
  }
  return {
    ca: yield* read("--grpc-ca-file", grpcCaFile.value),
    ...own,
    ...Option.match(grpcServerName, { onNone: () => ({}), onSome: (servername) => ({ servername }) })
  }
})

const credentialsOf = Effect.fnUntraced(function*(
  options: Flags.Options,
  settings: Settings.Settings
): Effect.fn.Return<Feed.Credentials | undefined, UsageError | Settings.InvalidSettings> {
  const { loginAuthMethod, loginBearerTokenFile, loginDatacenter, loginMeta } = options
  if (Option.isSome(loginAuthMethod)) {
    if (Option.isNone(loginBearerTokenFile)) {
      return yield* new UsageError({ why: "--login-auth-method needs --login-bearer-token-file" })
    }
    const path = loginBearerTokenFile.value
    const bearer = Effect.map(read("--login-bearer-token-file", path), (text) => Redacted.make(text.trim()))
    yield* bearer
    return {
      _tag: "Login",
      login: {
        method: loginAuthMethod.value,
        meta: Object.fromEntries(yield* Effect.fromResult(Result.all(loginMeta.map(metaOf)))),
        datacenter: Option.getOrElse(loginDatacenter, () => ""),
        namespace: settings.namespace ?? "",
        partition: settings.partition ?? ""
      },
      bearer: Effect.mapError(bearer, ({ message }) => message)
    }
  }
  if (settings.token === undefined && settings.tokenFile === undefined) return undefined
  const { headers } = yield* Credentials.make(settings)
  return {
    _tag: "Token",
    read: Effect.map(headers, (headers) => Redacted.make(headers["x-consul-token"] ?? "", { label: "token" }))
  }
})

const metaOf = (text: string): Result.Result<readonly [string, string], UsageError> => {
  const at = text.indexOf("=")
  return at <= 0
    ? Result.fail(new UsageError({ why: `--login-meta ${JSON.stringify(text)} is no KEY=VALUE` }))
    : Result.succeed([text.slice(0, at), text.slice(at + 1)])
}

const read = (flag: string, path: string): Effect.Effect<string, UsageError> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => new UsageError({ why: `${flag} ${path} can not be read: ${TransportFailure.reasonOf(cause)}` })
  })
