/** The flags of `effect-mesh gateway`: those of `consul connect envoy -gateway`, and those of `effect-mesh proxy`. */
import { type Command, Flag } from "effect/cli"
import * as Consul from "../consul.ts"
import * as Log from "../Log.ts"
import * as AccessLogFlags from "../proxy/AccessLogFlags.ts"
import * as AdminFlags from "../proxy/AdminFlags.ts"
import * as ProxyFlags from "../proxy/Flags.ts"
import * as LeavingFlags from "../proxy/LeavingFlags.ts"
import * as MarksFlags from "../proxy/MarksFlags.ts"
import * as Refusals from "../refusals.ts"
import * as WorkersFlags from "../workers/WorkersFlags.ts"
import { startTimeout } from "../startTimeout.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

/** Exactly one of them. */
const kinds = {
  mesh: Flag.Boolean("mesh").pipe(
    Flag.withDescription("The door of a datacenter to others: passes TLS on by its server name, and opens none"),
    Flag.withDefault(false)
  ),
  terminating: Flag.Boolean("terminating").pipe(
    Flag.withDescription("The door to services outside of the mesh, which its config entry links, in their names"),
    Flag.withDefault(false)
  ),
  api: Flag.Boolean("api").pipe(
    Flag.withDescription("The door for those outside, to services of the mesh, at the ports of its config entry"),
    Flag.withDefault(false)
  )
}

/** Which one it is, or what is registered. */
const registration = {
  proxyId: text("proxy-id", "ID", "ID of the registered gateway; default: the only one of its kind (CONNECT_PROXY_ID)"),
  service: text("service", "NAME", "Name that it is registered under; default: its kind, such as mesh-gateway"),
  register: Flag.Boolean("register").pipe(
    Flag.withDescription("Register it with the agent while it runs, at --address"),
    Flag.withDefault(false)
  ),
  address: text("address", "[HOST]:PORT", "With --register: where the datacenter reaches it, and where it listens"),
  wanAddress: text("wan-address", "HOST:PORT", "With --register: where other datacenters reach it; default: --address"),
  bindAddress: text("bind-address", "[HOST]:PORT", "With --register: where it listens; default: --address")
}

export const flags = {
  config: text("config", "FILE", "YAML or JSON file of flags without dashes; flags and variables win over it"),
  ...Log.flags,
  ...Consul.flags,
  ...Refusals.flags,
  ...kinds,
  ...registration,
  ...ProxyFlags.trust,
  ...MarksFlags.flags,
  ...WorkersFlags.flags,
  ...AdminFlags.flags,
  ...AccessLogFlags.flags,
  stale: Flag.Boolean("stale").pipe(
    Flag.withDescription("Let any Consul server answer, not only the leader; its answers may be a moment old"),
    Flag.withDefault(false)
  ),
  ...LeavingFlags.flags,
  startTimeout: startTimeout("the agent, the catalog and certificates")
}

export type Options = Command.Command.Config.Infer<typeof flags>
