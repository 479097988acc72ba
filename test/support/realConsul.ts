/** A Consul of the test's own, for what an agent from elsewhere is not set up for. */
import { Effect, type Schema, type Scope } from "effect"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import * as agent from "./consul.ts"
import * as programs from "./programs.ts"
import * as temporary from "./temporary.ts"

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const named = process.env["CONSUL_BIN"]

/** The program that CONSUL_BIN names, or `consul` on the PATH; `none`: none. */
const installed = named === "none"
  ? undefined
  : named ?? (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "consul")).find(isExecutable)

export const isMissing = installed === undefined

/** Where it is wanted: by name, or as the tests ask a real agent anyway. */
export const binary = named === undefined && process.env["TEST_REAL_CONSUL"] === undefined ? undefined : installed

/** What tests look at: tokens that were made. */
export interface Answer {
  readonly AccessorID: string
  readonly SecretID: string
}

export interface RealConsul {
  readonly address: string
  readonly port: number
  /** Where Envoy asks for its configuration. */
  readonly grpc: number
  /** Where servers of other datacenters join it. */
  readonly wan: number
  readonly management: string
  /** What a request with the management token answers. */
  readonly ask: (method: string, path: string, body?: unknown) => Effect.Effect<Answer>
  readonly asked: (method: string, path: string, body?: unknown) => Promise<Answer>
}

const management = "6f1d5a3e-0000-4000-8000-000000000001"

/** Ready once `ready` has an answer. `tls` is a port for gRPC over TLS, which peers need. */
const startWith = Effect.fnUntraced(function*(
  more: Schema.JsonObject,
  ready: string,
  tls = -1
): Effect.fn.Return<RealConsul, never, Scope.Scope> {
  const folder = yield* temporary.folder
  const [http, server, lan, wan, grpc] = yield* Effect.all([
    agent.freePort,
    agent.freePort,
    agent.freePort,
    agent.freePort,
    agent.freePort
  ])
  const settings = {
    ports: { http, server, serf_lan: lan, serf_wan: wan, grpc, grpc_tls: tls, dns: -1 },
    ...more
  }
  yield* programs.run(
    binary!,
    ["agent", "-dev", "-bind", "127.0.0.1", "-data-dir", folder, "-node", "n", "-hcl", JSON.stringify(settings)]
  )
  const address = `127.0.0.1:${http}`
  const asked: RealConsul["asked"] = async (method, path, body) => {
    const response = await fetch(`http://${address}${path}`, {
      method,
      headers: { "x-consul-token": management },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    const answer: unknown = text === "" ? {} : JSON.parse(text)
    return (typeof answer === "object" ? answer : {}) as Answer
  }
  const ask: RealConsul["ask"] = (...request) => Effect.promise(() => asked(...request))
  yield* Effect.orDie(agent.eventually(Effect.tryPromise(() => asked("GET", ready)), 50))
  return { address, port: http, grpc, wan, ask, asked, management }
})

const acls = { acl: { enabled: true, default_policy: "deny", tokens: { initial_management: management } } }

/** With ACLs that deny by default, until the scope closes. It is ready once it has a leader that knows the token. */
export const start = startWith(acls, "/v1/acl/token/self")

/** Without ACLs, and with an intention that denies everybody who has none of its own, until the scope closes. */
export const withoutAcls = startWith({}, "/v1/connect/ca/roots").pipe(
  // The setting for that, `default_intention_policy`, is not known to Consuls before 1.17.
  Effect.tap(({ ask }) =>
    ask("PUT", "/v1/config", {
      Kind: "service-intentions",
      Name: "*",
      Sources: [{ Name: "*", Action: "deny" }]
    })
  )
)

/** Certificates and keys in files. */
export interface Files {
  readonly ca: string
  readonly server: { readonly cert: string; readonly key: string }
}

/** Like `start`, asked by gRPC over TLS at the port `tls`, by clients that show a certificate of the same authority. */
export const overTls = ({ ca, server }: Files) =>
  Effect.gen(function*() {
    const tls = yield* agent.freePort
    const grpc = { ca_file: ca, cert_file: server.cert, key_file: server.key, verify_incoming: true }
    const consul = yield* startWith({ ...acls, tls: { grpc } }, "/v1/acl/token/self", tls)
    return { consul, tls }
  })

/** Two datacenters, joined over WAN: `dc1` is the primary. Ready once each knows the other. */
export const pair = Effect.gen(function*() {
  const dc1 = yield* startWith({ datacenter: "dc1", primary_datacenter: "dc1" }, "/v1/connect/ca/roots")
  const dc2 = yield* startWith(
    { datacenter: "dc2", primary_datacenter: "dc1", retry_join_wan: [`127.0.0.1:${dc1.wan}`] },
    "/v1/connect/ca/roots"
  )
  yield* Effect.orDie(agent.eventually(Effect.tryPromise(() => dc1.asked("GET", "/v1/catalog/nodes?dc=dc2")), 50))
  return { dc1, dc2 }
})

/** Two clusters with a trust domain each: `east` is a peer of `dc1`, and the other way round, by these names. */
export const peers = Effect.gen(function*() {
  const make = (datacenter: string) =>
    Effect.flatMap(
      agent.freePort,
      (tls) => startWith({ datacenter, peering: { enabled: true } }, "/v1/connect/ca/roots", tls)
    )
  const [dc1, east] = yield* Effect.all([make("dc1"), make("east")])
  const token = yield* agent.eventually(
    Effect.tryPromise(() => east.asked("POST", "/v1/peering/token", { PeerName: "dc1" })),
    50
  ).pipe(Effect.orDie)
  yield* Effect.orDie(agent.eventually(
    Effect.tryPromise(() => dc1.asked("POST", "/v1/peering/establish", { PeerName: "east", ...token })),
    50
  ))
  return { dc1, east }
})
