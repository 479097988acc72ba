/**
 * Paths of the application that are served outside of the mesh, without identities and intentions: metrics, health checks.
 * Nothing but the path itself is served.
 */
import type * as Proxy from "../../consul/Proxy.ts"
import * as Addresses from "./Addresses.ts"

export interface ExposedPath {
  readonly path: string
  /** Bound like the public listener, on a port of its own. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Who answers: the application, on a port of its own or not. */
  readonly application: Addresses.Address
  readonly protocol: "http" | "http2"
  /** Whether only the agent may ask: from loopback, or from its own address. */
  readonly onlyAgent: boolean
}

export interface Parsed {
  readonly exposed: ReadonlyArray<ExposedPath>
  readonly ignored: ReadonlyArray<string>
}

export const parse = (
  expose: Proxy.Proxy["Expose"],
  listenHost: string,
  application: Addresses.Address
): Parsed => {
  const taken = new Map<number, string>()
  const exposed: Array<ExposedPath> = []
  const ignored: Array<string> = []
  for (const path of expose.Paths) {
    const why = problem(path, application, taken)
    if (why !== undefined) {
      ignored.push(`the exposed path ${JSON.stringify(path.Path)}${why}`)
      continue
    }
    taken.set(path.ListenerPort, path.Path)
    exposed.push({
      path: path.Path,
      listen: { host: listenHost, port: path.ListenerPort },
      application: "path" in application ? application : { host: application.host, port: path.LocalPathPort },
      protocol: path.Protocol === "http2" ? "http2" : "http",
      onlyAgent: path.ParsedFromCheck
    })
  }
  return {
    exposed,
    ignored: expose.Checks
      ? [...ignored, checks]
      : ignored
  }
}

const problem = (
  { ListenerPort, LocalPathPort, Path, Protocol }: Proxy.Proxy["Expose"]["Paths"][number],
  application: Addresses.Address,
  taken: ReadonlyMap<number, string>
): string | undefined => {
  if (!Path.startsWith("/")) return ", which is no path: it has to start with a slash"
  if (ListenerPort === 0 || !Addresses.isPort(ListenerPort)) {
    return `, whose ListenerPort is ${ListenerPort}: it has to be ${Addresses.ports}`
  }
  if ("port" in application && (LocalPathPort === 0 || !Addresses.isPort(LocalPathPort))) {
    return `, whose LocalPathPort is ${LocalPathPort}: it has to be ${Addresses.ports}`
  }
  if (Protocol !== "" && Protocol !== "http" && Protocol !== "http2") {
    return `, whose protocol is ${JSON.stringify(Protocol)}: it has to be http or http2`
  }
  const other = taken.get(ListenerPort)
  return other === undefined
    ? undefined
    : `: its ListenerPort ${ListenerPort} is that of ${JSON.stringify(other)} already`
}

/** They are in no answer of the agent. It tells Envoy by other means. */
const checks =
  "exposed checks: the agent sends its HTTP and gRPC checks of the service to ports of the sidecar, without " +
  "saying for which paths, so they fail. Switch Expose.Checks off, and expose what others check as Expose.Paths"
