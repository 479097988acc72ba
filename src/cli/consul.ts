/** Flags by which every command finds the Consul agent. Each wins over its environment variable. */
import { type Layer, Option, Redacted } from "effect"
import { Flag } from "effect/cli"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Settings from "../consul/Settings.ts"

const text = (name: string, description: string, metavar: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

export const flags = {
  httpAddr: text(
    "http-addr",
    "The agent's HTTP API: host:port, http://…, https://… or unix:///… (CONSUL_HTTP_ADDR; default 127.0.0.1:8500)",
    "ADDRESS"
  ),
  token: text("token", "ACL token; prefer a file, as arguments can be seen by others (CONSUL_HTTP_TOKEN)", "TOKEN"),
  tokenFile: text(
    "token-file",
    "File with the ACL token, which must be there; read again for each request (CONSUL_HTTP_TOKEN_FILE)",
    "FILE"
  ),
  caFile: text("ca-file", "PEM file of authorities that may sign the agent's certificate (CONSUL_CACERT)", "FILE"),
  caPath: text("ca-path", "Directory of such PEM files (CONSUL_CAPATH)", "DIR"),
  clientCert: text("client-cert", "Certificate to show to the agent, PEM (CONSUL_CLIENT_CERT)", "FILE"),
  clientKey: text("client-key", "Its key, PEM (CONSUL_CLIENT_KEY)", "FILE"),
  tlsServerName: text(
    "tls-server-name",
    "Name that the agent's certificate must have (CONSUL_TLS_SERVER_NAME)",
    "NAME"
  ),
  datacenter: text("datacenter", "Datacenter to ask; default: the agent's own", "NAME"),
  namespace: text("namespace", "Namespace, Consul Enterprise only (CONSUL_NAMESPACE)", "NAME"),
  partition: text("partition", "Partition, Consul Enterprise only (CONSUL_PARTITION)", "NAME")
}

export interface Flags extends Readonly<Record<keyof typeof flags, Option.Option<string>>> {
  /** Absent: no. */
  readonly stale?: boolean
}

export const settings = (flags: Flags): Partial<Settings.Settings> => {
  const token = Option.getOrUndefined(flags.token)
  const given: { readonly [K in keyof Settings.Settings]?: Settings.Settings[K] | undefined } = {
    address: Option.getOrUndefined(flags.httpAddr),
    token: token === undefined ? undefined : Redacted.make(token, { label: "--token" }),
    tokenFile: Option.getOrUndefined(flags.tokenFile),
    caFile: Option.getOrUndefined(flags.caFile),
    caPath: Option.getOrUndefined(flags.caPath),
    clientCertFile: Option.getOrUndefined(flags.clientCert),
    clientKeyFile: Option.getOrUndefined(flags.clientKey),
    tlsServerName: Option.getOrUndefined(flags.tlsServerName),
    datacenter: Option.getOrUndefined(flags.datacenter),
    namespace: Option.getOrUndefined(flags.namespace),
    partition: Option.getOrUndefined(flags.partition),
    stale: flags.stale
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

export const layer = (flags: Flags): Layer.Layer<
  ConsulClient.ConsulClient,
  Layer.Error<ReturnType<typeof ConsulClient.layer>>
> => ConsulClient.layer(settings(flags), names)

/** The flags of what can be set wrongly. */
const names: Settings.Names = {
  caFile: "--ca-file",
  caPath: "--ca-path",
  clientCertFile: "--client-cert",
  clientKeyFile: "--client-key",
  tlsServerName: "--tls-server-name"
}
