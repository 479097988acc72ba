/** A Consul of the test's own, for what an agent from elsewhere is not set up for. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import * as agent from "./consul.ts"
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
  readonly management: string
  /** What a request with the management token answers. */
  readonly ask: (method: string, path: string, body?: unknown) => Effect.Effect<Answer>
  readonly asked: (method: string, path: string, body?: unknown) => Promise<Answer>
}

const management = "6f1d5a3e-0000-4000-8000-000000000001"

/** With ACLs that deny by default, until the scope closes. */
export const start: Effect.Effect<RealConsul, never, Scope.Scope> = Effect.gen(
  function*() {
    const folder = yield* temporary.folder
    const [http, server, lan, wan] = yield* Effect.all([
      agent.freePort,
      agent.freePort,
      agent.freePort,
      agent.freePort
    ])
    const settings = {
      ports: { http, server, serf_lan: lan, serf_wan: wan, dns: -1, grpc: -1, grpc_tls: -1 },
      acl: { enabled: true, default_policy: "deny", tokens: { initial_management: management } }
    }
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          binary!,
          ["agent", "-dev", "-bind", "127.0.0.1", "-data-dir", folder, "-node", "n", "-hcl", JSON.stringify(settings)],
          { stdio: "ignore" }
        )
      ),
      (child) =>
        Effect.callback<void>((done) => {
          if (child.exitCode !== null) return done(Effect.void)
          child.once("exit", () => done(Effect.void))
          child.kill("SIGKILL")
        })
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
      return (text === "" ? {} : JSON.parse(text)) as Answer
    }
    const ask: RealConsul["ask"] = (...request) => Effect.promise(() => asked(...request))
    // It is ready once it has a leader that knows the token.
    yield* Effect.orDie(agent.eventually(Effect.tryPromise(() => asked("GET", "/v1/acl/token/self")), 50))
    return { address, port: http, ask, asked, management }
  }
)
