/** Services as they are registered: validated, completed, and with the sidecar that they ask for. */
import { Result } from "effect"
import { isIP } from "node:net"
import * as AgentService from "../consul/AgentService.ts"
import * as ApiError from "../consul/ApiError.ts"
import * as Proxy from "../consul/Proxy.ts"
import * as CheckDefinition from "./CheckDefinition.ts"
import * as DecodeEntry from "./config/DecodeEntry.ts"

export interface ServiceDefinition {
  /** As the agent shows it, except what central defaults add. */
  readonly service: AgentService.AgentService
  readonly checks: ReadonlyArray<CheckDefinition.CheckDefinition>
  /** The service that this one is the sidecar of, when it was registered with it. */
  readonly sidecarOf: string | undefined
}

type Refusal = ApiError.BadRequest | ApiError.InternalError

export interface Options {
  readonly datacenter: string
  readonly sidecarPort: (sidecarId: string) => number | undefined
  /** Those that `sidecarPort` chooses from. */
  readonly sidecarPorts: { readonly from: number; readonly to: number }
  /** Whether checks may run programs. */
  readonly scripts: boolean
}

/** The service, and its sidecar if it asks for one. `sidecarPort` chooses a port for it. */
export const make = (
  registration: AgentService.ServiceRegistration,
  options: Options
): Result.Result<ReadonlyArray<ServiceDefinition>, Refusal> =>
  Result.gen(function*() {
    if (registration.Name === "") return yield* badRequest("Missing service name")
    const service = yield* complete(registration, registration.Name, options.datacenter, "Validation failed")
    if (registration.Connect?.Native === true && service.Port === 0 && service.SocketPath === "") {
      return yield* badRequest(
        failed("Validation failed", ["Port or SocketPath must be set for a Connect native service."])
      )
    }
    const own: ServiceDefinition = {
      service: registration.Connect?.Native === true ? { ...service, Connect: { Native: true } } : service,
      checks: yield* checksOf(registration, service.ID, service.Service, options.scripts),
      sidecarOf: undefined
    }
    const sidecar = registration.Connect?.SidecarService
    return sidecar === undefined ? [own] : [own, yield* sidecarOf(own, sidecar, options)]
  })

const sidecarOf = (
  { service }: ServiceDefinition,
  sidecar: AgentService.SidecarService,
  options: Options
): Result.Result<ServiceDefinition, Refusal> =>
  Result.gen(function*() {
    const id = `${service.ID}-sidecar-proxy`
    if (sidecar.ID !== undefined && sidecar.ID !== "") {
      return yield* badRequest(
        failed("Validation failed", ["A SidecarService cannot specify an ID as this is managed by the agent"])
      )
    }
    const port = sidecar.Port === undefined || sidecar.Port === 0 ? options.sidecarPort(id) : sidecar.Port
    if (port === undefined) {
      const { from, to } = options.sidecarPorts
      return yield* badRequest(`Invalid SidecarService: none left to allocate in configured range [${from}, ${to}]`)
    }
    const proxy = sidecar.Proxy ?? {}
    const completed: AgentService.SidecarService = {
      ...sidecar,
      ID: id,
      Kind: sidecar.Kind || "connect-proxy",
      Port: port,
      Address: sidecar.Address || service.Address,
      Tags: sidecar.Tags === undefined || sidecar.Tags.length === 0 ? service.Tags : sidecar.Tags,
      Meta: sidecar.Meta === undefined || Object.keys(sidecar.Meta).length === 0 ? service.Meta : sidecar.Meta,
      Proxy: {
        ...proxy,
        DestinationServiceName: proxy.DestinationServiceName || service.Service,
        DestinationServiceID: proxy.DestinationServiceID || service.ID,
        ...(proxy.LocalServiceSocketPath
          ? {}
          : service.SocketPath !== ""
          ? { LocalServiceSocketPath: service.SocketPath }
          : {
            LocalServiceAddress: proxy.LocalServiceAddress || "127.0.0.1",
            LocalServicePort: proxy.LocalServicePort || service.Port
          })
      }
    }
    const own = yield* complete(
      completed,
      sidecar.Name || `${service.Service}-sidecar-proxy`,
      options.datacenter,
      "Failed Validation"
    )
    const written = writtenChecks(sidecar)
    const checks = written.length > 0 ? written : [
      {
        Name: "Connect Sidecar Listening",
        TCP: `${hostOf(own.Address || own.Proxy?.LocalServiceAddress || "127.0.0.1")}:${own.Port}`,
        Interval: "10s"
      },
      { Name: `Connect Sidecar Aliasing ${service.ID}`, AliasService: service.ID }
    ]
    return {
      service: own,
      checks: yield* checksOf({ Checks: checks }, own.ID, own.Service, options.scripts),
      sidecarOf: service.ID
    }
  })

const hostOf = (address: string): string => isIP(address) === 6 ? `[${address}]` : address

/** Everything that a service and a sidecar have in common. */
const complete = (
  registration: AgentService.SidecarService,
  name: string,
  datacenter: string,
  context: string
): Result.Result<AgentService.AgentService, Refusal> =>
  Result.gen(function*() {
    const address = registration.Address ?? ""
    if (/[^a-zA-Z0-9\-_.]/.test(name) && /\s/.test(name)) {
      return yield* Result.fail(
        new ApiError.InternalError({
          body:
            `Service name ${name} contains invalid characters. Valid characters include all alpha-numerics and dashes.`
        })
      )
    }
    if (address === "0.0.0.0" || address === "::" || address === "[::]") {
      return yield* badRequest("Invalid service address")
    }
    const weights = registration.Weights
    if (weights !== undefined) {
      if ((weights.Passing ?? 0) < 1) return yield* badRequest("Invalid Weights: Passing must be greater than 0")
      if ((weights.Warning ?? 0) < 0) {
        return yield* badRequest("Invalid Weights: Warning must be greater or equal than 0")
      }
      if ((weights.Passing ?? 0) > 65_535 || (weights.Warning ?? 0) > 65_535) {
        return yield* badRequest("Invalid Weights: DNS Weight must be between 0 and 65535")
      }
    }
    const meta = metadataProblem(registration.Meta ?? {})
    if (meta !== undefined) return yield* badRequest(`Invalid Service Meta: ${meta}`)
    const problems = validationProblems(registration)
    if (problems.length > 0) return yield* badRequest(failed(context, problems))
    const port = registration.Port ?? 0
    const tagged = taggedAddresses(registration, address, port)
    return AgentService.AgentService.make({
      Kind: registration.Kind ?? "",
      ID: registration.ID || name,
      Service: name,
      Tags: registration.Tags ?? [],
      Meta: registration.Meta ?? {},
      Port: port,
      Address: address,
      SocketPath: registration.SocketPath ?? "",
      TaggedAddresses: tagged,
      Weights: { Passing: weights?.Passing ?? 1, Warning: weights?.Warning ?? 1 },
      EnableTagOverride: registration.EnableTagOverride ?? false,
      Datacenter: datacenter,
      ...(registration.Locality !== undefined && {
        Locality: { Region: registration.Locality.Region ?? "", Zone: registration.Locality.Zone ?? "" }
      }),
      ...(isProxy(registration.Kind) && { Proxy: proxyOf(registration.Proxy ?? {}) })
    })
  })

const isProxy = (kind: string | undefined): boolean => kind !== undefined && kind !== ""

/** As the agent shows it: upstreams say what type they are. */
export const proxyOf = (proxy: Proxy.Registration): Proxy.Proxy => {
  const { AccessLogs, EnvoyExtensions: _extensions, Expose, MeshGateway, TransparentProxy, Upstreams, ...rest } = proxy
  return Proxy.Proxy.make({
    ...rest,
    MeshGateway: { Mode: MeshGateway?.Mode ?? "" },
    Expose: Proxy.Expose.make({
      Checks: Expose?.Checks ?? false,
      Paths: (Expose?.Paths ?? []).map((path) => Proxy.ExposePath.make(path))
    }),
    ...(AccessLogs !== undefined && { AccessLogs: Proxy.AccessLogs.make(AccessLogs) }),
    ...(isTransparent(TransparentProxy) && { TransparentProxy: Proxy.TransparentProxy.make(TransparentProxy) }),
    Upstreams: (Upstreams ?? []).map(({ MeshGateway, ...upstream }) =>
      Proxy.Upstream.make({
        DestinationName: "",
        ...upstream,
        DestinationType: upstream.DestinationType || "service",
        MeshGateway: { Mode: MeshGateway?.Mode ?? "" }
      })
    )
  })
}

const isTransparent = (value: Proxy.Registration["TransparentProxy"]): value is NonNullable<typeof value> =>
  value !== undefined && ((value.OutboundListenerPort ?? 0) !== 0 || value.DialedDirectly === true)

/** With a literal address, the agent adds it in the name of its family. */
const taggedAddresses = (registration: AgentService.SidecarService, address: string, port: number) => {
  const given = Object.fromEntries(
    Object.entries(registration.TaggedAddresses ?? {}).map(([name, tagged]) => [
      name,
      { Address: tagged.Address ?? "", Port: tagged.Port ?? 0 }
    ])
  )
  const family = isIP(address)
  if (family === 0) return given
  return {
    [`lan_ipv${family}`]: { Address: address, Port: port },
    [`wan_ipv${family}`]: { Address: address, Port: port },
    ...given
  }
}

interface WithChecks {
  readonly Check?: AgentService.ServiceCheck
  readonly Checks?: ReadonlyArray<AgentService.ServiceCheck>
}

/** Go clients send an empty check where there is none. */
const writtenChecks = ({ Check, Checks }: WithChecks): ReadonlyArray<AgentService.ServiceCheck> => [
  ...(Check === undefined || Object.keys(Check).length === 0 ? [] : [Check]),
  ...(Checks ?? [])
]

const checksOf = (
  registration: WithChecks,
  serviceId: string,
  serviceName: string,
  scripts: boolean
): Result.Result<ReadonlyArray<CheckDefinition.CheckDefinition>, Refusal> =>
  Result.gen(function*() {
    const written = writtenChecks(registration)
    const checks: Array<CheckDefinition.CheckDefinition> = []
    for (const [index, check] of written.entries()) {
      checks.push(
        yield* CheckDefinition.make(check, {
          id: written.length === 1 ? `service:${serviceId}` : `service:${serviceId}:${index + 1}`,
          name: `Service '${serviceName}' check`,
          serviceId,
          scripts
        })
      )
    }
    return checks
  })

/** `NodeService.Validate`. */
export const validationProblems = (registration: {
  readonly Kind?: string
  readonly Port?: number
  readonly SocketPath?: string
  readonly Proxy?: Proxy.Registration
  readonly Connect?: { readonly Native?: boolean }
  readonly Locality?: { readonly Region?: string; readonly Zone?: string }
}): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (registration.Locality?.Zone && !registration.Locality.Region) problems.push("zone cannot be set without region")
  const proxy = registration.Proxy ?? {}
  if (registration.Kind !== undefined && gatewayKinds.has(registration.Kind)) {
    return [...problems, ...gatewayProblems(registration.Kind, registration.Port ?? 0, proxy)]
  }
  if (registration.Kind !== "connect-proxy") return problems
  if (registration.Connect?.Native === true) {
    problems.push("A Proxy cannot also be Connect Native, only typical services")
  }
  if (!registration.Port && !registration.SocketPath) {
    problems.push("Port or SocketPath must be set for a connect-proxy")
  }
  if (!proxy.DestinationServiceName) {
    problems.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
  }
  if (proxy.DestinationServiceName === "*") {
    problems.push("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")
  }
  return [...problems, ...upstreamProblems(proxy.Upstreams ?? [])]
}

const gatewayKinds: ReadonlySet<string> = new Set([
  "mesh-gateway",
  "terminating-gateway",
  "ingress-gateway",
  "api-gateway"
])

/** A gateway stands for no service of its own. */
const gatewayProblems = (kind: string, port: number, proxy: Proxy.Registration): ReadonlyArray<string> => {
  const set = [
    ["DestinationServiceName", proxy.DestinationServiceName],
    ["DestinationServiceID", proxy.DestinationServiceID],
    ["LocalServiceAddress", proxy.LocalServiceAddress],
    ["LocalServicePort", proxy.LocalServicePort],
    ["LocalServiceSocketPath", proxy.LocalServiceSocketPath],
    ["Upstreams", proxy.Upstreams?.length]
  ].filter(([, value]) => value !== undefined && value !== "" && value !== 0)
  return [
    ...(port === 0 ? [`Port must be non-zero for a ${kind}`] : []),
    ...set.map(([name]) => `The Proxy.${name} configuration is invalid for a ${kind}`)
  ]
}

const upstreamProblems = (upstreams: ReadonlyArray<Proxy.UpstreamRegistration>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const names = new Set<string>()
  const binds = new Set<string>()
  for (const upstream of upstreams) {
    const type = upstream.DestinationType || "service"
    if (type !== "service" && type !== "prepared_query") {
      problems.push(`unknown upstream destination type: ${JSON.stringify(upstream.DestinationType)}`)
      continue
    }
    if (!upstream.DestinationName) problems.push("upstream destination name cannot be empty")
    else if (upstream.DestinationName === "*") problems.push("upstream destination name cannot be a wildcard")
    else if (!upstream.LocalBindPort && !upstream.LocalBindSocketPath && upstream.CentrallyConfigured !== true) {
      problems.push("upstream local bind port or local socket path must be defined and nonzero")
    }
    const label = `type=${JSON.stringify(type)}, name=${JSON.stringify(upstream.DestinationName ?? "")}, ` +
      `partition="", namespace="", peer=${JSON.stringify(upstream.DestinationPeer ?? "")}, ` +
      `datacenter=${JSON.stringify(upstream.Datacenter ?? "")}`
    if (names.has(label)) problems.push(`upstreams cannot contain duplicates of [${label}]`)
    names.add(label)
    const bind = upstream.LocalBindSocketPath ||
      `${upstream.LocalBindAddress || "127.0.0.1"}:${upstream.LocalBindPort ?? 0}`
    if (binds.has(bind) && (upstream.LocalBindPort || upstream.LocalBindSocketPath)) {
      problems.push(
        `upstreams cannot contain duplicates by local bind address and port or unix path; "${bind}" is specified twice`
      )
    }
    binds.add(bind)
  }
  return problems
}

const metadataProblem = (meta: { readonly [key: string]: string }): string | undefined => {
  const pairs = Object.entries(meta)
  if (pairs.length > 64) return "Node metadata cannot contain more than 64 key/value pairs"
  for (const [key, value] of pairs) {
    const pair = `Couldn't load metadata pair ('${key}', '${value}')`
    if (key === "") return `${pair}: Key cannot be blank`
    if (/[^a-zA-Z0-9_-]/.test(key)) return `${pair}: Key contains invalid characters`
    if (key.length > 128) return `${pair}: Key is too long (limit: 128 characters)`
    if (key.startsWith("consul-")) return `${pair}: Key prefix 'consul-' is reserved for internal use`
    if (value.length > 512) return `${pair}: Value is too long (limit: 512 characters)`
  }
  return undefined
}

const failed = (context: string, problems: ReadonlyArray<string>): string =>
  `${context}: ${DecodeEntry.errors(problems)}`

const badRequest = (body: string) => Result.fail(new ApiError.BadRequest({ body }))
