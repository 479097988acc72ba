/** A real Consul server of a mesh's own, which feeds sidecars by xDS. */
import { Effect, Schedule, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ports from "../support/consul.ts"
import * as programs from "../support/programs.ts"
import * as Agent from "./Agent.ts"

export interface Consul {
  readonly agent: Agent.Agent
  readonly grpc: number
  /** Empty: none is needed. */
  readonly token: string
}

const token = "6f1d5a3e-0000-4000-8000-000000000002"

/** Ready once it signs certificates. Intentions have this default: where it denies, it takes a token. */
export const start = Effect.fnUntraced(function*(
  binary: string,
  policy: "allow" | "deny"
): Effect.fn.Return<Consul, unknown, Scope.Scope> {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "parity-consul-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const [http, server, lan, wan, grpc] = yield* Effect.all([
    ports.freePort,
    ports.freePort,
    ports.freePort,
    ports.freePort,
    ports.freePort
  ])
  const acl = { enabled: true, default_policy: policy, tokens: { initial_management: token, default: token } }
  const settings = {
    ports: { http, server, serf_lan: lan, serf_wan: wan, grpc, grpc_tls: -1, dns: -1 },
    limits: { http_max_conns_per_client: 10_000 },
    ...(policy === "deny" ? { acl } : {})
  }
  yield* programs.run(
    binary,
    ["agent", "-dev", "-bind", "127.0.0.1", "-data-dir", folder, "-node", "n", "-hcl", JSON.stringify(settings)]
  )
  const agent = Agent.make(`http://127.0.0.1:${http}`, policy === "deny" ? token : undefined)
  yield* Effect.retry(
    agent.ask("GET", "/v1/agent/connect/ca/roots"),
    Schedule.max([Schedule.spaced("200 millis"), Schedule.recurs(100)])
  )
  return { agent, grpc, token: policy === "deny" ? token : "" }
})
