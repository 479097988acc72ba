/** Registrations that go into the catalog directly, for what has no agent of its own. */
import { Result } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as Catalog from "../consul/Catalog.ts"
import * as Health from "../consul/Health.ts"
import * as Proxy from "../consul/Proxy.ts"
import type * as AgentState from "./AgentState.ts"
import * as DecodeEntry from "./config/DecodeEntry.ts"
import * as ServiceDefinition from "./ServiceDefinition.ts"

const refuse = (body: string) => Result.fail(new ApiError.InternalError({ body }))

export const register = (
  state: AgentState.AgentState,
  registration: Catalog.Registration
): Result.Result<void, ApiError.InternalError> => {
  const { catalog, settings } = state
  if (registration.Node === "") return refuse("Must provide node")
  const known = catalog.node(registration.Node)
  if (!registration.Address && (registration.SkipNodeUpdate !== true || known === undefined)) {
    return refuse("Must provide address if SkipNodeUpdate is not set")
  }
  const service = registration.Service
  if (service !== undefined) {
    if (service.Service === "") return refuse("Must provide service name (Service.Service) when service ID is provided")
    const problems = ServiceDefinition.validationProblems(service)
    if (problems.length > 0) return refuse(DecodeEntry.errors(problems))
  }
  const checks = [...(registration.Check === undefined ? [] : [registration.Check]), ...(registration.Checks ?? [])]
  for (const check of checks) {
    const id = check.ServiceID ?? ""
    if (id !== "" && id !== idOf(service) && known?.services.has(id) !== true) {
      return refuse(`failed inserting check: Missing service registration`)
    }
  }
  catalog.change((transaction) => {
    if (registration.SkipNodeUpdate !== true || known === undefined) {
      transaction.putNode(Health.Node.make({
        ID: registration.ID ?? known?.node.ID ?? "",
        Node: registration.Node,
        Address: registration.Address ?? "",
        Datacenter: settings.datacenter,
        TaggedAddresses: registration.TaggedAddresses ?? {},
        Meta: registration.NodeMeta ?? {}
      }))
    }
    if (service !== undefined) transaction.putService(registration.Node, nodeService(service))
    for (const check of checks) {
      const id = check.ServiceID ?? ""
      const about = id === idOf(service) ? service?.Service : known?.services.get(id)?.Service
      transaction.putCheck(
        registration.Node,
        Health.Check.make({
          Node: registration.Node,
          CheckID: check.CheckID || check.Name || "",
          Name: check.Name ?? "",
          Status: check.Status || "critical",
          Notes: check.Notes ?? "",
          Output: check.Output ?? "",
          ServiceID: id,
          ServiceName: id === "" ? "" : about ?? "",
          ServiceTags: id !== "" && id === idOf(service) ? service?.Tags ?? [] : []
        })
      )
    }
  })
  return Result.void
}

export const deregister = (
  { catalog }: AgentState.AgentState,
  deregistration: Catalog.Deregistration
): Result.Result<void, ApiError.InternalError> => {
  if (deregistration.Node === "") return refuse("Must provide node")
  catalog.change((transaction) => {
    if (deregistration.ServiceID) transaction.removeService(deregistration.Node, deregistration.ServiceID)
    else if (deregistration.CheckID) transaction.removeCheck(deregistration.Node, deregistration.CheckID)
    else transaction.removeNode(deregistration.Node)
  })
  return Result.void
}

type Service = NonNullable<Catalog.Registration["Service"]>

const idOf = (service: Service | undefined): string => service?.ID || service?.Service || ""

const nodeService = (service: Service): Health.NodeService =>
  Health.NodeService.make({
    Kind: service.Kind ?? "",
    ID: idOf(service),
    Service: service.Service,
    Tags: service.Tags ?? [],
    Address: service.Address ?? "",
    TaggedAddresses: Object.fromEntries(
      Object.entries(service.TaggedAddresses ?? {}).map(([name, { Address, Port }]) => [
        name,
        { Address: Address ?? "", Port: Port ?? 0 }
      ])
    ),
    Meta: service.Meta ?? {},
    Port: service.Port ?? 0,
    SocketPath: service.SocketPath ?? "",
    Weights: { Passing: service.Weights?.Passing ?? 1, Warning: service.Weights?.Warning ?? 1 },
    EnableTagOverride: service.EnableTagOverride ?? false,
    Proxy: service.Proxy === undefined
      ? Proxy.CatalogProxy.make({})
      : Proxy.CatalogProxy.make(ServiceDefinition.proxyOf(service.Proxy)),
    Connect: { Native: service.Connect?.Native ?? false }
  })
