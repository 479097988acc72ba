/** How the pairs start, each proxy a process of its own with one worker, with certificates of one authority for all but Consul's. */
import { type ChildProcess, fork, spawn, type StdioOptions } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Schema } from "effect"
import { ciphers } from "../../../src/tls/SecureContexts.ts"
import * as Processes from "../processes.ts"
import * as Programs from "../programs.ts"
import * as Haproxy from "../relay/haproxy.ts"
import * as Pair from "../relay/Pair.ts"
import * as Envoy from "./envoy.ts"

/** What all pairs stand in. */
export interface Mesh {
  /** Address of the development agent. */
  readonly agent: string
  /** Of the service: what the application speaks, and how deep the proxies look. */
  readonly protocol: "http" | "tcp"
  /** Port of the application. */
  readonly application: number
  readonly sides: Readonly<Record<Pair.Side["role"], Omit<Pair.Side, "role" | "target">>>
  readonly peer: Envoy.Options["peer"]
  /** For configurations. */
  readonly folder: string
  /** Takes care that a process ends with the benchmark. */
  readonly keep: Keep
}

export type Keep = <Child extends ChildProcess>(child: Child) => Child

export interface Proxies {
  /** Where the outbound side listens. */
  readonly port: number
  readonly children: ReadonlyArray<ChildProcess>
}

/** Undefined where a program is not found. */
export type Start = (mesh: Mesh) => Promise<Proxies | undefined>

const bin = fileURLToPath(new URL("../../../src/cli/bin.ts", import.meta.url))

const command = (
  keep: Keep,
  args: ReadonlyArray<string>,
  flags: ReadonlyArray<string> = [],
  executable = bin
): ChildProcess =>
  keep(spawn(process.execPath, [...flags, executable, ...args], { stdio: ["ignore", "ignore", "inherit"] }))

const scripts = {
  http: { application: "./application.ts", node: "./raw.ts" },
  tcp: { application: "../relay/application.ts", node: "../relay/raw.ts" }
} as const

const pathOf = (script: string): string => fileURLToPath(new URL(script, import.meta.url))

/** A development agent that denies nothing, and an application. */
export const mesh = async (folder: string, keep: Keep, protocol: Mesh["protocol"]): Promise<Mesh> => {
  const application = keep(fork(pathOf(scripts[protocol].application), { execArgv: [...Pair.collectorFlags] }))
  const { port } = await Processes.told<Pair.Listening>(application)
  const agentPort = await Processes.freePort()
  command(keep, ["agent", "--port", String(agentPort), "--default-policy", "allow", "--log-level", "error"])
  await Processes.accepts(agentPort, 30)
  const agent = `http://127.0.0.1:${agentPort}`
  const consul = Processes.consulAt(agent)
  const roots = Schema.decodeUnknownSync(Roots)(await consul.ask("GET", "/v1/agent/connect/ca/roots"))
  const side = async (service: string) => {
    const leaf = Schema.decodeUnknownSync(Leaf)(await consul.ask("GET", `/v1/agent/connect/ca/leaf/${service}`))
    const rootPem = roots.Roots.map(({ RootCert }) => RootCert).join("\n")
    return { uri: leaf.ServiceURI, side: { chainPem: leaf.CertPEM, keyPem: leaf.PrivateKeyPEM, rootPem, ciphers } }
  }
  const [api, web] = [await side("api"), await side("web")]
  const sni = `api.default.dc1.internal.${roots.TrustDomain}`
  return {
    agent,
    protocol,
    application: port,
    sides: { inbound: api.side, outbound: web.side },
    peer: { uri: api.uri, sni },
    folder,
    keep
  }
}

const Roots = Schema.Struct({
  TrustDomain: Schema.String,
  Roots: Schema.Array(Schema.Struct({ RootCert: Schema.String }))
})

const Leaf = Schema.Struct({ CertPEM: Schema.String, PrivateKeyPEM: Schema.String, ServiceURI: Schema.String })

/** Returns where its sidecar will take callers. */
export const register = async (
  consul: ReturnType<typeof Processes.consulAt>,
  name: string,
  protocol: Mesh["protocol"],
  service: object,
  proxy: object
): Promise<number> => {
  const port = await Processes.freePort()
  await consul.entry("service-defaults", name, { Protocol: protocol })
  await consul.ask("PUT", "/v1/agent/service/register", {
    Name: name,
    Address: "127.0.0.1",
    ...service,
    Connect: {
      SidecarService: {
        Port: port,
        Proxy: proxy,
        // In place of the agent's own, which connects to the sidecar every ten seconds.
        Checks: [{ Name: "given", TTL: "24h", Status: "passing" }]
      }
    }
  })
  return port
}

export interface Sidecars {
  /** The executable, default: this source. */
  readonly bin?: string | undefined
  /** Of the names of the two services. */
  readonly suffix?: string
  /** For Node. */
  readonly flags?: (role: Pair.Side["role"]) => ReadonlyArray<string>
  /** For the command. */
  readonly args?: ReadonlyArray<string>
}

/** The sidecar of a service that is registered. */
export const sidecar = (
  mesh: Mesh,
  service: string,
  { args = [], bin, flags = [] }: Omit<Sidecars, "flags" | "suffix"> & { readonly flags?: ReadonlyArray<string> } = {}
): ChildProcess => {
  const own = ["proxy", "--sidecar-for", service, "--http-addr", mesh.agent, "--log-level", "error"]
  return command(mesh.keep, [...own, ...args], flags, bin)
}

/** Two sidecars of ours. They may start again in place of others with the same names that have ended. */
export const sidecars =
  ({ args = [], bin, flags = () => [], suffix = "" }: Sidecars = {}) => async (mesh: Mesh): Promise<Proxies> => {
    const consul = Processes.consulAt(mesh.agent)
    const [web, api] = [`web${suffix}`, `api${suffix}`]
    const port = await Processes.freePort()
    await register(consul, api, mesh.protocol, { Port: mesh.application }, {})
    await register(consul, web, mesh.protocol, {}, { Upstreams: [{ DestinationName: api, LocalBindPort: port }] })
    const start = (role: Pair.Side["role"], service: string) =>
      sidecar(mesh, service, { args, bin, flags: flags(role) })
    const children = [start("inbound", api), start("outbound", web)]
    await Processes.accepts(port, 60)
    return { port, children }
  }

export const node: Start = async (mesh) => {
  const start = async (role: Pair.Side["role"], target: number) => {
    const child = mesh.keep(fork(pathOf(scripts[mesh.protocol].node), { execArgv: [...Pair.collectorFlags] }))
    child.send({ ...mesh.sides[role], role, target } satisfies Pair.Side)
    return { child, port: (await Processes.told<Pair.Listening>(child)).port }
  }
  return pair(mesh, start)
}

/** `between`: what the two speak to each other, where it is HTTP. */
export const envoy = (between: Envoy.Between): Start => async (mesh) => {
  const program = Programs.find("envoy")
  if (program === undefined) return undefined
  return pair(mesh, async (role, target) => {
    const port = await Processes.freePort()
    const args = envoyArgs(mesh, { ...mesh.sides[role], role, target }, { between, port })
    const child = mesh.keep(spawn(program.path, args, { stdio: ["ignore", "ignore", "inherit"] }))
    await Processes.accepts(port, 20)
    return { child, port }
  })
}

/** What Envoy is started with for one side. */
export const envoyArgs = (
  { folder, peer, protocol }: Mesh,
  side: Pair.Side,
  { between, port }: Omit<Envoy.Options, "peer">
): ReadonlyArray<string> => {
  const file = join(folder, `envoy-${between.replace("/", "-")}-${side.role}.json`)
  writeFileSync(
    file,
    protocol === "tcp" ? Envoy.tcpConfig(side, port, peer.uri) : Envoy.config(side, { between, port, peer })
  )
  return Envoy.args(file)
}

export const haproxy: Start = async (mesh) => {
  const program = Programs.find("haproxy")
  if (program === undefined) return undefined
  return pair(mesh, async (role, target) => {
    const port = await Processes.freePort()
    const file = (name: string) => join(mesh.folder, `haproxy-${role}${name}`)
    const side = mesh.sides[role]
    writeFileSync(file(".pem"), `${side.chainPem}\n${side.keyPem}`)
    writeFileSync(file("-ca.pem"), side.rootPem)
    const files = { pem: file(".pem"), ca: file("-ca.pem") }
    writeFileSync(file(".cfg"), Haproxy.config(role, files, { port, target, mode: mesh.protocol }))
    const child = mesh.keep(
      spawn(program.path, ["-db", "-q", "-f", file(".cfg")], { stdio: ["ignore", "ignore", "inherit"] })
    )
    await Processes.accepts(port, 20)
    return { child, port }
  })
}

/** The proxy that is built into Consul, for bytes only, under an agent of its own: it asks that for each connection. */
export const consul: Start = async (mesh) => {
  const program = Programs.find("consul")
  if (program === undefined) return undefined
  const one = {
    stdio: ["ignore", "ignore", "inherit"] as const satisfies StdioOptions,
    env: { ...process.env, GOMAXPROCS: "1" }
  }
  const [http, server, lan, wan, port] = [
    await Processes.freePort(),
    await Processes.freePort(),
    await Processes.freePort(),
    await Processes.freePort(),
    await Processes.freePort()
  ]
  const settings = {
    ports: { http, server, serf_lan: lan, serf_wan: wan, grpc: -1, grpc_tls: -1, dns: -1 },
    limits: { http_max_conns_per_client: 10_000 },
    log_level: "error"
  }
  mesh.keep(
    spawn(program.path, ["agent", "-dev", "-bind", "127.0.0.1", "-node", "n", "-hcl", JSON.stringify(settings)], {
      stdio: "ignore"
    })
  )
  await Processes.accepts(http, 30)
  const agent = Processes.consulAt(`http://127.0.0.1:${http}`)
  await patiently(() => agent.ask("GET", "/v1/agent/connect/ca/roots"))
  await register(agent, "api", "tcp", { Port: mesh.application }, {})
  await register(agent, "web", "tcp", {}, { Upstreams: [{ DestinationName: "api", LocalBindPort: port }] })
  const children = ["api", "web"].map((service) =>
    mesh.keep(
      spawn(program.path, [
        ...["connect", "proxy", "-sidecar-for", service, "-log-level", "error"],
        ...["-http-addr", `http://127.0.0.1:${http}`]
      ], one)
    )
  )
  await Processes.accepts(port, 30)
  return { port, children }
}

/** Until it succeeds, for half a minute. */
const patiently = async (ask: () => Promise<Schema.Json>): Promise<void> => {
  for (let attempt = 0;; attempt++) {
    try {
      await ask()
      return
    } catch (error) {
      if (attempt === 300) throw error
      await sleep(100)
    }
  }
}

type Side = { readonly child: ChildProcess; readonly port: number }

const pair = async (
  mesh: Mesh,
  start: (role: Pair.Side["role"], target: number) => Promise<Side>
): Promise<Proxies> => {
  const inbound = await start("inbound", mesh.application)
  const outbound = await start("outbound", inbound.port)
  return { port: outbound.port, children: [inbound.child, outbound.child] }
}
