/** The flags of `effect-mesh proxy`, and the options that they become. */
import { type Command, Flag } from "effect/cli"
import * as Consul from "../consul.ts"
import * as Log from "../Log.ts"
import * as Refusals from "../refusals.ts"
import * as AccessLogFlags from "./AccessLogFlags.ts"
import * as AdminFlags from "./AdminFlags.ts"
import * as LeavingFlags from "./LeavingFlags.ts"
import * as MarksFlags from "./MarksFlags.ts"
import * as ServerFlags from "./ServerFlags.ts"
import * as WorkersFlags from "../workers/WorkersFlags.ts"
import { startTimeout } from "../startTimeout.ts"

/** Which proxy it is, or which ones. */
const which = {
  sidecarFor: Flag.String("sidecar-for").pipe(
    Flag.withDescription("ID of the service whose sidecar this is; may be repeated (CONNECT_SIDECAR_FOR)"),
    Flag.withMetavar("SERVICE"),
    Flag.atLeast(0)
  ),
  node: Flag.Boolean("node").pipe(
    Flag.withDescription("Every sidecar that is registered at the agent, as they come and go"),
    Flag.withDefault(false)
  ),
  proxyId: Flag.String("proxy-id").pipe(
    Flag.withDescription("ID of the registered proxy; wins over --sidecar-for (CONNECT_PROXY_ID)"),
    Flag.withMetavar("ID"),
    Flag.optional
  )
}

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

/** A proxy without a registration. */
const adHoc = {
  service: text("service", "NAME", "Without a registration: the service in whose name this proxy speaks"),
  serviceAddr: text("service-addr", "HOST:PORT", "Where the application of --service listens; needed for --listen"),
  listen: text("listen", "[HOST]:PORT", "Where callers from the mesh connect to --service; default: nobody may call"),
  upstream: Flag.String("upstream").pipe(
    Flag.withDescription(
      "A service to call, and the local address to call it at; NAME.query is a prepared query; may be repeated"
    ),
    Flag.withMetavar("NAME:[HOST:]PORT"),
    Flag.atLeast(0)
  ),
  register: Flag.Boolean("register").pipe(
    Flag.withDescription("Register the proxy of --service and --listen with the agent while it runs"),
    Flag.withDefault(false)
  ),
  registerId: text("register-id", "SUFFIX", "Ends the ID of that registration, to tell several of a service apart")
}

/** Whom it trusts and lets in. */
export const trust = {
  defaultPolicy: Flag.Literals("default-policy", ["allow", "deny"]).pipe(
    Flag.withDescription("The answer if no intention matches; default: the agent's setting"),
    Flag.optional
  ),
  audit: Flag.Boolean("audit").pipe(
    Flag.withDescription("Enforce nothing: log callers that would be refused, and admit every caller of the mesh"),
    Flag.withDefault(false)
  ),
  spiffe: Flag.Literals("spiffe", ["strict", "leaf"]).pipe(
    Flag.withDescription(
      "How far peers must follow SPIFFE; leaf: for authorities that cannot, see docs/native/trust.md"
    ),
    Flag.withDefault("strict" as const)
  )
}

/** What it is told, and by what. */
const sources = {
  config: text("config", "FILE", "YAML or JSON file of flags without dashes; flags and variables win over it"),
  printConfig: Flag.Boolean("print-config").pipe(
    Flag.withDescription("Print what would be in force and where each value comes from, and end"),
    Flag.withDefault(false)
  )
}

/** How it speaks to other sidecars. */
const between = {
  withoutTunnels: Flag.Boolean("without-tunnels").pipe(
    Flag.withDescription("Make a TLS connection for each connection, also between sidecars that could share one"),
    Flag.withDefault(false)
  )
}

export const flags = {
  ...sources,
  ...Log.flags,
  ...Consul.flags,
  ...Refusals.flags,
  ...which,
  ...ServerFlags.flags,
  ...adHoc,
  ...trust,
  ...MarksFlags.flags,
  ...between,
  ...WorkersFlags.flags,
  ...AdminFlags.flags,
  ...AccessLogFlags.flags,
  stale: Flag.Boolean("stale").pipe(
    Flag.withDescription("Let any Consul server answer, not only the leader; its answers may be a moment old"),
    Flag.withDefault(false)
  ),
  ...LeavingFlags.flags,
  startTimeout: startTimeout("the agent, certificates and intentions")
}

export type Options = Command.Command.Config.Infer<typeof flags>
