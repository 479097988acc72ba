/** Services and config entries of a mesh file, checked against the API and each other before anything is started. */
import { Result, Schema } from "effect"
import * as GoDecode from "../../agent/GoDecode.ts"
import * as AgentService from "../../consul/AgentService.ts"
import type * as ConfigEntry from "../../consul/ConfigEntry.ts"
import * as Origin from "../../policy/Origin.ts"
import * as MeshFile from "./MeshFile.ts"

export type Service = AgentService.ServiceRegistration
export type Entry = ConfigEntry.ConfigEntry

export interface Definitions {
  readonly services: ReadonlyArray<Service>
  /** In the order in which they have to be written. */
  readonly configEntries: ReadonlyArray<Entry>
  readonly applications: ReadonlyArray<{
    readonly application: MeshFile.Application
    /** The environment of a program: its place in the mesh. */
    readonly env: Readonly<Record<string, string>>
  }>
  /** What runs as the sidecar of a service. */
  readonly proxyOf: (service: Service) => MeshFile.ProxyKind
}

export const read = (file: MeshFile.MeshFile, name: string): Result.Result<Definitions, MeshFile.InvalidFile> =>
  Result.gen(function*() {
    const invalid = (why: string) => Result.fail(new MeshFile.InvalidFile({ file: name, why }))
    const services: Array<Service> = []
    for (const [i, json] of file.services.entries()) {
      const origin = Origin.of(json)
      const what = `service ${i + 1}${origin === undefined ? "" : ` (${Origin.format(origin)})`}`
      const conformed = GoDecode.conform(AgentService.ServiceRegistration, json, {
        snakeCase: true,
        weak: false,
        unwrap: true
      })
      if (Result.isFailure(conformed)) {
        return yield* invalid(`${what}: ${conformed.failure.map(MeshFile.describe).join("; ")}`)
      }
      const decoded = decodeService(conformed.success)
      if (Result.isFailure(decoded)) return yield* invalid(`${what}: ${decoded.failure.message}`)
      if (services.some((other) => id(other) === id(decoded.success))) {
        return yield* invalid(`two services have the id ${id(decoded.success)}: give one of them another "id"`)
      }
      services.push(asRegistered(decoded.success))
    }
    const configEntries: Array<Entry> = []
    for (const [i, json] of file.configEntries.entries()) {
      const { Kind, Name, kind = Kind, name = Name, ...fields } = json
      if (typeof kind !== "string") return yield* invalid(`config entry ${i + 1} has no "kind"`)
      configEntries.push({ ...fields, Kind: kind, ...(typeof name === "string" ? { Name: name } : {}) })
    }
    const applications: Array<Definitions["applications"][number]> = []
    for (const application of file.applications) {
      const service = services.find((candidate) => id(candidate) === application.service)
      if (service === undefined) {
        return yield* invalid(
          `there is an application for ${application.service}, but no service with that id: it is one of ` +
            `${services.map(id).join(", ") || "none"}`
        )
      }
      applications.push({ application, env: environment(service, services) })
    }
    const stranger = Object.keys(file.proxies).find((name) => !services.some((service) => id(service) === name))
    if (stranger !== undefined) {
      return yield* invalid(
        `"proxies" names ${stranger}, and no service has that id: it is one of ${services.map(id).join(", ") || "none"}`
      )
    }
    return {
      services,
      configEntries: configEntries.toSorted(byDependency),
      applications,
      proxyOf: (service) => file.proxies[id(service)] ?? file.proxy ?? "effect-mesh"
    }
  })

/** As Consul derives it. */
export const id = (service: Service): string => service.ID || service.Name

/** Of the proxy that the service is, or brings: Consul gives an id to a sidecar. Undefined: there is none. */
export const proxyId = (service: Service): string | undefined =>
  service.Kind === "connect-proxy"
    ? id(service)
    : service.Connect?.SidecarService === undefined
    ? undefined
    : `${id(service)}-sidecar-proxy`

/** In files a check has an `id`, and a script `args`; the API of an agent calls them otherwise. */
const asRegistered = (service: Service): Service => {
  const { Connect, ...own } = withChecks(service)
  return {
    ...own,
    ...(Connect === undefined ? {} : {
      Connect: Connect.SidecarService === undefined
        ? Connect
        : { ...Connect, SidecarService: withChecks(Connect.SidecarService) }
    })
  }
}

const withChecks = <A extends Pick<Service, "Check" | "Checks">>(self: A): A => ({
  ...self,
  ...(self.Check === undefined ? {} : { Check: checkOf(self.Check) }),
  ...(self.Checks === undefined ? {} : { Checks: self.Checks.map(checkOf) })
})

const checkOf = ({ Args, ID, ...check }: AgentService.ServiceCheck): AgentService.ServiceCheck => ({
  ...check,
  ...(ID === undefined ? {} : { CheckID: ID }),
  ...(Args === undefined ? {} : { ScriptArgs: Args })
})

const decodeService = Schema.decodeUnknownResult(Schema.toCodecGoJson(AgentService.ServiceRegistration))

/** Of its sidecar, and of proxies that are registered by themselves. */
const proxiesOf = (service: Service, services: ReadonlyArray<Service>) => [
  ...(service.Connect?.SidecarService?.Proxy === undefined ? [] : [service.Connect.SidecarService.Proxy]),
  ...services.flatMap(({ Kind, Proxy }) => {
    if (Kind !== "connect-proxy" || Proxy === undefined) return []
    const { DestinationServiceID, DestinationServiceName } = Proxy
    const isOurs = DestinationServiceID ? DestinationServiceID === id(service) : DestinationServiceName === service.Name
    return isOurs ? [Proxy] : []
  })
]

/** `PORT`, `MESH_SERVICE`, and `MESH_UPSTREAM_<NAME>` for each local port behind which a service is reached. */
const environment = (service: Service, services: ReadonlyArray<Service>): Readonly<Record<string, string>> => ({
  PORT: String(service.Port),
  MESH_SERVICE: service.Name,
  ...Object.fromEntries(
    proxiesOf(service, services).flatMap((proxy) => proxy.Upstreams ?? [])
      .filter((upstream) => upstream.LocalBindPort !== 0)
      .map((upstream) => [
        `MESH_UPSTREAM_${(upstream.DestinationName ?? "").toUpperCase().replace(/[^A-Z0-9]/g, "_")}`,
        `${upstream.LocalBindAddress || "127.0.0.1"}:${upstream.LocalBindPort}`
      ])
  )
})

/** Consul refuses an entry whose protocols do not fit yet, so an entry is written after those that it depends on. */
const order = [
  "proxy-defaults",
  "mesh",
  "service-defaults",
  "jwt-provider",
  "service-resolver",
  "service-splitter",
  "service-router",
  "service-intentions"
]

const byDependency = (a: Entry, b: Entry): number => rank(a.Kind) - rank(b.Kind)

const rank = (kind: string): number => {
  const place = order.indexOf(kind)
  return place < 0 ? order.length : place
}
