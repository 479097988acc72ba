/** The services registered with this agent, and through it in the catalog. */
import { Effect, type Scope } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import * as ApiError from "../consul/ApiError.ts"
import * as Health from "../consul/Health.ts"
import * as Proxy from "../consul/Proxy.ts"
import type * as CatalogStore from "./CatalogStore.ts"
import * as CheckDefinition from "./CheckDefinition.ts"
import * as Checks from "./Checks.ts"
import * as ServiceDefinition from "./ServiceDefinition.ts"
import type * as Store from "./Store.ts"

type Refusal = ApiError.BadRequest | ApiError.NotFound | ApiError.InternalError

export interface LocalServices {
  readonly checks: Checks.Checks
  readonly list: () => ReadonlyMap<string, AgentService.AgentService>
  readonly get: (id: string) => AgentService.AgentService | undefined
  readonly register: (
    registration: AgentService.ServiceRegistration,
    options: { readonly replaceExistingChecks: boolean }
  ) => Effect.Effect<void, Refusal>
  /** The sidecar that was registered with it goes along. */
  readonly deregister: (id: string) => Effect.Effect<void, Refusal>
  readonly registerCheck: (check: AgentService.CheckRegistration) => Effect.Effect<void, Refusal>
  readonly deregisterCheck: (id: string) => Effect.Effect<void, Refusal>
  readonly serviceMaintenance: (id: string, enable: boolean, reason: string) => Effect.Effect<void, Refusal>
  readonly nodeMaintenance: (enable: boolean, reason: string) => Effect.Effect<void>
}

export const topic = (id: string): Store.Topic => `local:${id}`

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly node: string
  readonly datacenter: string
  /** Whether checks may run programs. */
  readonly scripts: boolean
  readonly sidecarPorts: Ports
}): Effect.fn.Return<LocalServices, never, Scope.Scope> {
  const { catalog, node, store } = options
  const definitions = new Map<string, ServiceDefinition.ServiceDefinition>()
  const checks: Checks.Checks = yield* Checks.make({
    store,
    catalog,
    node,
    expel: (id) => Effect.ignore(Effect.suspend(() => deregister(id)))
  })

  const changed = (ids: Iterable<string>) => store.commit(() => [undefined, Array.from(ids, topic)])

  const checksOf = (serviceId: string): ReadonlyArray<string> =>
    [...checks.list().values()].filter(({ ServiceID }) => ServiceID === serviceId).map(({ CheckID }) => CheckID)

  const register: LocalServices["register"] = Effect.fnUntraced(function*(registration, { replaceExistingChecks }) {
    const made = yield* Effect.fromResult(
      ServiceDefinition.make(registration, {
        datacenter: options.datacenter,
        sidecarPort: (id) => sidecarPort(definitions, id, options.sidecarPorts),
        sidecarPorts: options.sidecarPorts,
        scripts: options.scripts
      })
    )
    const obsolete = new Set<string>()
    for (const { service } of made) {
      for (const id of replaceExistingChecks ? checksOf(service.ID) : []) obsolete.add(id)
    }
    for (const { checks: kept } of made) for (const { id } of kept) obsolete.delete(id)

    catalog.change((transaction) => {
      for (const id of obsolete) checks.remove(transaction, id)
      for (const definition of made) {
        definitions.set(definition.service.ID, definition)
        transaction.putService(node, catalogService(definition.service))
        for (const check of definition.checks) {
          checks.put(transaction, check, { name: definition.service.Service, tags: definition.service.Tags })
        }
      }
    })
    changed(made.map(({ service }) => service.ID))
    for (const id of obsolete) yield* checks.stop(id)
    for (const definition of made) for (const check of definition.checks) yield* checks.start(check)
  })

  const deregister = Effect.fnUntraced(function*(id: string): Effect.fn.Return<void, Refusal> {
    if (!definitions.has(id)) return yield* unknown(id)
    const ids = [
      id,
      ...[...definitions.values()].filter(({ sidecarOf }) => sidecarOf === id).map(({ service }) => service.ID)
    ]
    const stopped = ids.flatMap(checksOf)
    catalog.change((transaction) => {
      for (const check of stopped) checks.remove(transaction, check)
      for (const each of ids) {
        definitions.delete(each)
        transaction.removeService(node, each)
      }
    })
    changed(ids)
    for (const check of stopped) yield* checks.stop(check)
  })

  const put = (definition: CheckDefinition.CheckDefinition) =>
    Effect.suspend(() => {
      const service = definitions.get(definition.serviceId)?.service
      catalog.change((transaction) =>
        checks.put(transaction, definition, { name: service?.Service ?? "", tags: service?.Tags ?? [] })
      )
      return checks.start(definition)
    })

  const drop = (id: string) =>
    Effect.suspend(() => {
      catalog.change((transaction) => checks.remove(transaction, id))
      return checks.stop(id)
    })

  const maintenance = (id: string, name: string, serviceId: string, enable: boolean, reason: string) => {
    const isOn = checks.definition(id) !== undefined
    if (!enable) return isOn ? drop(id) : Effect.void
    return isOn ? Effect.void : put(maintenanceCheck(id, name, serviceId, reason))
  }

  return {
    checks,
    list: () => new Map([...definitions].map(([id, { service }]) => [id, service])),
    get: (id) => definitions.get(id)?.service,
    register,
    deregister,
    registerCheck: Effect.fnUntraced(function*(check) {
      if (check.Name === undefined || check.Name === "") {
        return yield* new ApiError.BadRequest({ body: "Missing check name" })
      }
      const serviceId = check.ServiceID ?? ""
      const definition = yield* Effect.fromResult(
        CheckDefinition.make(check, { id: check.Name, name: check.Name, serviceId, scripts: options.scripts })
      )
      if (serviceId !== "" && !definitions.has(serviceId)) {
        return yield* new ApiError.NotFound({ body: `ServiceID ${JSON.stringify(serviceId)} does not exist` })
      }
      // Other than with its service, a check by itself says how often it runs even when it does not.
      yield* put({ ...definition, interval: definition.interval || "0s", timeout: definition.timeout || "0s" })
    }),
    deregisterCheck: Effect.fnUntraced(function*(id) {
      if (checks.definition(id) === undefined) {
        return yield* new ApiError.NotFound({
          body: `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`
        })
      }
      yield* drop(id)
    }),
    serviceMaintenance: (id, enable, reason) =>
      definitions.has(id)
        ? maintenance(`_service_maintenance:${id}`, "Service Maintenance Mode", id, enable, reason)
        : Effect.fail(unknown(id)),
    nodeMaintenance: (enable, reason) => maintenance("_node_maintenance", "Node Maintenance Mode", "", enable, reason)
  }
})

/** `sidecar_min_port` and `sidecar_max_port` of an agent's configuration. */
export interface Ports {
  readonly from: number
  readonly to: number
}

export const sidecarPorts: Ports = { from: 21_000, to: 21_255 }

/** The port that the sidecar has, else the lowest that no service has. */
const sidecarPort = (
  definitions: ReadonlyMap<string, ServiceDefinition.ServiceDefinition>,
  sidecarId: string,
  { from, to }: Ports
): number | undefined => {
  const before = definitions.get(sidecarId)?.service.Port
  if (before !== undefined && before >= from && before <= to) return before
  const taken = new Set([...definitions.values()].map(({ service }) => service.Port))
  for (let port = from; port <= to; port++) if (!taken.has(port)) return port
  return undefined
}

const unknown = (id: string) =>
  new ApiError.NotFound({
    body: `Unknown service ID ${JSON.stringify(id)}. Ensure that the service ID is passed, not the service name.`
  })

/** A check that is critical until it is removed. */
const maintenanceCheck = (
  id: string,
  name: string,
  serviceId: string,
  reason: string
): CheckDefinition.CheckDefinition => ({
  id,
  name,
  notes: reason === "" ? defaultReason(serviceId) : reason,
  status: "critical",
  serviceId,
  type: "manual",
  run: { _tag: "Manual" },
  successesBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  deregisterAfter: undefined,
  interval: "",
  timeout: ""
})

const defaultReason = (serviceId: string): string =>
  `Maintenance mode is enabled for this ${
    serviceId === "" ? "node" : "service"
  }, but no reason was provided. This is a default message.`

/** As the catalog keeps it: as it was registered, nothing merged. */
const catalogService = (service: AgentService.AgentService): Health.NodeService =>
  Health.NodeService.make({
    Kind: service.Kind,
    ID: service.ID,
    Service: service.Service,
    Tags: service.Tags,
    Address: service.Address,
    TaggedAddresses: service.TaggedAddresses,
    Meta: service.Meta,
    Port: service.Port,
    SocketPath: service.SocketPath,
    Weights: service.Weights,
    EnableTagOverride: service.EnableTagOverride,
    Proxy: Proxy.CatalogProxy.make(service.Proxy ?? {}),
    Connect: { Native: service.Connect?.Native ?? false },
    ...(service.Locality !== undefined && { Locality: service.Locality })
  })
