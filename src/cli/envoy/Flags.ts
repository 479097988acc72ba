/** The flags of `effect-mesh envoy`: those of `consul connect envoy` that say something here. */
import { Argument, type Command, Flag } from "effect/cli"
import * as Consul from "../consul.ts"
import * as Log from "../Log.ts"
import { startTimeout } from "../startTimeout.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

export const flags = {
  ...Log.flags,
  ...Consul.flags,
  sidecarFor: text("sidecar-for", "SERVICE", "ID of the service whose registered sidecar it is"),
  proxyId: text("proxy-id", "ID", "ID of the registered proxy or gateway (CONNECT_PROXY_ID)"),
  gateway: Flag.Literals("gateway", ["mesh"]).pipe(
    Flag.withDescription("The mesh gateway that is registered at the agent"),
    Flag.optional
  ),
  grpcAddr: text(
    "grpc-addr",
    "ADDRESS",
    "Where the agent tells Envoys what to do: host:port, http://…, https://… or unix:///… (CONSUL_GRPC_ADDR; default: where " +
      "the agent says)"
  ),
  grpcCaFile: text(
    "grpc-ca-file",
    "FILE",
    "PEM file of authorities that may sign the certificate of --grpc-addr, which is then asked with TLS (CONSUL_GRPC_CACERT)"
  ),
  adminBind: Flag.String("admin-bind").pipe(
    Flag.withDescription("Where Envoy's own admin interface listens"),
    Flag.withMetavar("ADDRESS"),
    Flag.withDefault("127.0.0.1:19000")
  ),
  adminAccessLogPath: Flag.String("admin-access-log-path").pipe(
    Flag.withDescription("Where Envoy logs requests to its admin interface"),
    Flag.withMetavar("FILE"),
    Flag.withDefault("/dev/null")
  ),
  bootstrap: Flag.Boolean("bootstrap").pipe(
    Flag.withDescription("Print what Envoy would start with, and start nothing. It has the token in it"),
    Flag.withDefault(false)
  ),
  envoyBinary: Flag.String("envoy-binary").pipe(
    Flag.withDescription("The Envoy to run"),
    Flag.withMetavar("FILE"),
    Flag.withDefault("envoy")
  ),
  ignoreEnvoyCompatibility: Flag.Boolean("ignore-envoy-compatibility").pipe(
    Flag.withDescription("Taken as consul connect envoy takes it; versions are not compared here"),
    Flag.withDefault(false)
  ),
  startTimeout: startTimeout("the agent and the registration"),
  args: Argument.String("envoy-argument").pipe(
    Argument.withDescription("What follows -- goes to Envoy: effect-mesh envoy --sidecar-for web -- -l debug"),
    Argument.atLeast(0)
  )
}

export type Options = Command.Command.Config.Infer<typeof flags>
