/** How the pairs start, each proxy a process of its own with one worker, all with certificates of one authority. */
import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { ciphers } from "../../../src/tls/SecureContexts.ts"
import * as Processes from "../processes.ts"
import * as Haproxy from "../relay/haproxy.ts"
import * as Pair from "../relay/Pair.ts"
import * as Envoy from "./envoy.ts"

/** What all pairs stand in. */
export interface Mesh {
  /** Address of the development agent. */
  readonly agent: string
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

const bin = new URL("../../../src/cli/bin.ts", import.meta.url).pathname

const command = (
  keep: Keep,
  args: ReadonlyArray<string>,
  flags: ReadonlyArray<string> = [],
  executable = bin
): ChildProcess =>
  keep(spawn(process.execPath, [...flags, executable, ...args], { stdio: ["ignore", "ignore", "inherit"] }))

/** A development agent that denies nothing, and an application. */
export const mesh = async (folder: string, keep: Keep): Promise<Mesh> => {
  const application = keep(fork(new URL("./application.ts", import.meta.url).pathname))
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

const register = async (
  consul: ReturnType<typeof Processes.consulAt>,
  name: string,
  service: object,
  proxy: object
): Promise<void> => {
  await consul.entry("service-defaults", name, { Protocol: "http" })
  await consul.ask("PUT", "/v1/agent/service/register", {
    Name: name,
    Address: "127.0.0.1",
    ...service,
    Connect: {
      SidecarService: {
        Port: await Processes.freePort(),
        Proxy: proxy,
        // In place of the agent's own, which connects to the sidecar every ten seconds.
        Checks: [{ Name: "given", TTL: "24h", Status: "passing" }]
      }
    }
  })
}

export interface Sidecars {
  /** The executable, default: this source. */
  readonly bin?: string | undefined
  /** Of the names of the two services. */
  readonly suffix?: string
  /** For Node. */
  readonly flags?: (role: Pair.Side["role"]) => ReadonlyArray<string>
}

/** Two sidecars of ours. They may start again in place of others with the same names that have ended. */
export const sidecars =
  ({ bin, flags = () => [], suffix = "" }: Sidecars = {}) => async (mesh: Mesh): Promise<Proxies> => {
    const consul = Processes.consulAt(mesh.agent)
    const [web, api] = [`web${suffix}`, `api${suffix}`]
    const port = await Processes.freePort()
    await register(consul, api, { Port: mesh.application }, {})
    await register(consul, web, {}, { Upstreams: [{ DestinationName: api, LocalBindPort: port }] })
    const start = (role: Pair.Side["role"], service: string) => {
      const args = ["proxy", "--sidecar-for", service, "--http-addr", mesh.agent, "--log-level", "error"]
      return command(mesh.keep, args, flags(role), bin)
    }
    const children = [start("inbound", api), start("outbound", web)]
    await Processes.accepts(port, 60)
    return { port, children }
  }

export const node: Start = async (mesh) => {
  const start = async (role: Pair.Side["role"], target: number) => {
    const script = new URL("./raw.ts", import.meta.url).pathname
    const child = mesh.keep(fork(script, { execArgv: [...Pair.collectorFlags] }))
    child.send({ ...mesh.sides[role], role, target } satisfies Pair.Side)
    return { child, port: (await Processes.told<Pair.Listening>(child)).port }
  }
  return pair(mesh, start)
}

export const envoy = (between: Envoy.Between): Start => async (mesh) => {
  const program = found("envoy", "--version")
  if (program === undefined) return undefined
  return pair(mesh, async (role, target) => {
    const port = await Processes.freePort()
    const file = join(mesh.folder, `envoy-${between.replace("/", "-")}-${role}.json`)
    writeFileSync(file, Envoy.config({ ...mesh.sides[role], role, target }, { between, port, peer: mesh.peer }))
    const child = mesh.keep(spawn(program, Envoy.args(file), { stdio: ["ignore", "ignore", "inherit"] }))
    await Processes.accepts(port, 20)
    return { child, port }
  })
}

export const haproxy: Start = async (mesh) => {
  const program = found("haproxy", "-v")
  if (program === undefined) return undefined
  return pair(mesh, async (role, target) => {
    const port = await Processes.freePort()
    const file = (name: string) => join(mesh.folder, `haproxy-${role}${name}`)
    const side = mesh.sides[role]
    writeFileSync(file(".pem"), `${side.chainPem}\n${side.keyPem}`)
    writeFileSync(file("-ca.pem"), side.rootPem)
    const files = { pem: file(".pem"), ca: file("-ca.pem") }
    writeFileSync(file(".cfg"), Haproxy.config(role, files, { port, target, mode: "http" }))
    const child = mesh.keep(
      spawn(program, ["-db", "-q", "-f", file(".cfg")], { stdio: ["ignore", "ignore", "inherit"] })
    )
    await Processes.accepts(port, 20)
    return { child, port }
  })
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

/** As `ENVOY_BIN` or `HAPROXY_BIN` says, or on the PATH. */
const found = (name: string, version: string): string | undefined => {
  const program = process.env[`${name.toUpperCase()}_BIN`] ?? name
  return spawnSync(program, [version], { timeout: 10_000 }).status === 0 ? program : undefined
}
