/**
 * How a Consul agent is reached, from the same environment variables as Consul's own tools, and what they mean there
 * (`api/api.go`). Unlike those tools, a boolean that is none is an error: it would turn verification off unnoticed.
 */
import { Config, Effect, Option, Redacted, Result, Schema } from "effect"

export interface Settings {
  /** `host:port`, `http://…`, `https://…`, either with a path prefix, or `unix:///path`. */
  readonly address: string
  /** Forces https where the address names no scheme, and for `http://` too, as Consul does. */
  readonly ssl: boolean
  /** Whether the agent's certificate must be right. */
  readonly sslVerify: boolean
  readonly token: Redacted.Redacted<string> | undefined
  /**
   * Wins over `token`. Must be there at the start; read again for each request, so that a token can be replaced in place.
   */
  readonly tokenFile: string | undefined
  /** `user` or `user:password`, for a reverse proxy in between. */
  readonly basicAuth: Redacted.Redacted<string> | undefined
  /** PEM files; a file and a directory of files. Neither: the system's authorities. */
  readonly caFile: string | undefined
  readonly caPath: string | undefined
  readonly clientCertFile: string | undefined
  readonly clientKeyFile: string | undefined
  /** Sent and verified instead of the host of the address. */
  readonly tlsServerName: string | undefined
  /** Sent with every request when set. A community agent refuses namespaces and partitions. */
  readonly namespace: string | undefined
  readonly partition: string | undefined
  readonly datacenter: string | undefined
  /** Lets any server answer reads, with what it knows: less work for the leader, and answers that may be a moment old. */
  readonly stale: boolean
  /** How messages call a setting: as the user wrote it. Absent: by its variable. */
  readonly names?: Names | undefined
}

export type Named = keyof typeof variables

export type Names = Readonly<Record<Named, string>>

/** What can be set wrongly, by the variable that sets it. */
const variables = {
  caFile: "CONSUL_CACERT",
  caPath: "CONSUL_CAPATH",
  clientCertFile: "CONSUL_CLIENT_CERT",
  clientKeyFile: "CONSUL_CLIENT_KEY",
  tlsServerName: "CONSUL_TLS_SERVER_NAME"
} as const

export const nameOf = ({ names }: Settings, setting: Named): string => names?.[setting] ?? variables[setting]

/** The flag that was used, the variable, or both where neither was. */
const named = (fromEnv: Settings, options: Partial<Settings>, flags: Names): Names => {
  const nameOf = (setting: Named) =>
    options[setting] !== undefined
      ? flags[setting]
      : fromEnv[setting] !== undefined
      ? variables[setting]
      : `${flags[setting]} (${variables[setting]})`
  return {
    caFile: nameOf("caFile"),
    caPath: nameOf("caPath"),
    clientCertFile: nameOf("clientCertFile"),
    clientKeyFile: nameOf("clientKeyFile"),
    tlsServerName: nameOf("tlsServerName")
  }
}

/** What holds where neither the environment nor the program says otherwise. */
export const defaults: Settings = {
  address: "127.0.0.1:8500",
  ssl: false,
  sslVerify: true,
  token: undefined,
  tokenFile: undefined,
  basicAuth: undefined,
  caFile: undefined,
  caPath: undefined,
  clientCertFile: undefined,
  clientKeyFile: undefined,
  tlsServerName: undefined,
  namespace: undefined,
  partition: undefined,
  datacenter: undefined,
  stale: false
}

/** A setting that cannot be used. The user has to mend it. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  setting: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.setting} ${this.why}`
  /** Operators read it: where in this package it was made would say nothing to them. */
  override readonly stack = `InvalidSettings: ${this.message}`
}

/** Reads the `CONSUL_*` variables. `options` win over them, where given. `flags`: what set these, where that was flags. */
export const fromEnvironment = (
  options: Partial<Settings> = {},
  flags?: Names
): Effect.Effect<Settings, InvalidSettings | Config.ConfigError> =>
  Effect.gen(function*() {
    const text = (name: string) =>
      Effect.map(
        Config.option(Config.String(name)),
        // A variable that was made of a file ends with its line break.
        (value) => Option.getOrUndefined(value)?.replace(/[\r\n]+$/, "") || undefined
      )
    const flag = (name: string, otherwise: boolean) =>
      Effect.flatMap(text(name), (value) => Effect.fromResult(parseBoolean(name, value, otherwise)))
    const secret = (name: string) =>
      Effect.map(text(name), (value) => value === undefined ? undefined : Redacted.make(value, { label: name }))
    const fromEnv: Settings = {
      address: (yield* text("CONSUL_HTTP_ADDR")) ?? defaults.address,
      ssl: yield* flag("CONSUL_HTTP_SSL", false),
      sslVerify: yield* flag("CONSUL_HTTP_SSL_VERIFY", true),
      token: yield* secret("CONSUL_HTTP_TOKEN"),
      // A token given in code is not overruled by a file that the environment names.
      tokenFile: options.token === undefined ? yield* text("CONSUL_HTTP_TOKEN_FILE") : undefined,
      basicAuth: yield* secret("CONSUL_HTTP_AUTH"),
      caFile: yield* text("CONSUL_CACERT"),
      caPath: yield* text("CONSUL_CAPATH"),
      clientCertFile: yield* text("CONSUL_CLIENT_CERT"),
      clientKeyFile: yield* text("CONSUL_CLIENT_KEY"),
      tlsServerName: yield* text("CONSUL_TLS_SERVER_NAME"),
      namespace: yield* text("CONSUL_NAMESPACE"),
      partition: yield* text("CONSUL_PARTITION"),
      datacenter: undefined,
      stale: false
    }
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
    return { ...fromEnv, ...given, ...(flags === undefined ? {} : { names: named(fromEnv, options, flags) }) }
  })

/** As Go's `strconv.ParseBool` reads it. */
export const parseBoolean = (
  setting: string,
  value: string | undefined,
  otherwise: boolean
): Result.Result<boolean, InvalidSettings> => {
  if (value === undefined) return Result.succeed(otherwise)
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return Result.succeed(true)
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return Result.succeed(false)
  return Result.fail(new InvalidSettings({ setting, why: `is ${JSON.stringify(value)}: write true or false` }))
}

export interface Endpoint {
  /** What requests are made to, path prefix included: `http://127.0.0.1:8500`. */
  readonly baseUrl: string
  /** Dialled instead of the host of the URL. */
  readonly socketPath: string | undefined
}

/** What the address means. */
export const endpoint = (settings: Settings): Result.Result<Endpoint, InvalidSettings> => {
  const invalid = (why: string) => Result.fail(new InvalidSettings({ setting: "the Consul address", why }))
  const separator = settings.address.indexOf("://")
  const scheme = separator < 0 ? "" : settings.address.slice(0, separator)
  const rest = separator < 0 ? settings.address : settings.address.slice(separator + 3)
  switch (scheme) {
    case "unix":
      return rest === ""
        ? invalid("names no socket: write unix:///path/to/socket")
        : Result.succeed({ baseUrl: settings.ssl ? "https://localhost" : "http://localhost", socketPath: rest })
    case "":
    case "http":
    case "https": {
      const url = `${scheme === "https" || settings.ssl ? "https" : "http"}://${rest.replace(/\/+$/, "")}`
      if (!URL.canParse(url) || rest.startsWith("/") || rest === "") {
        return invalid(`is ${JSON.stringify(settings.address)}: write host:port, http://host:port or https://host:port`)
      }
      const { hash, password, search, username } = new URL(url)
      return hash + search + username + password === ""
        ? Result.succeed({ baseUrl: url, socketPath: undefined })
        : invalid("has a user, a query or a fragment: use CONSUL_HTTP_AUTH for credentials, and leave the others out")
    }
    default:
      return invalid(`has the unknown scheme ${JSON.stringify(scheme)}: use http, https or unix`)
  }
}
