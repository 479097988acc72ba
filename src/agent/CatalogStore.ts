/** The catalog: nodes, the services on them, the checks of both. The only place that changes it. */
import { Equal } from "effect"
import type * as Health from "../consul/Health.ts"
import type * as Store from "./Store.ts"
import * as VirtualAddresses from "./VirtualAddresses.ts"

export interface NodeRecord {
  readonly node: Health.Node
  readonly services: ReadonlyMap<string, Health.NodeService>
  readonly checks: ReadonlyMap<string, Health.Check>
}

/** Changes within one commit. What is put is stored with the indexes it deserves: the same content again changes nothing. */
export interface Transaction {
  readonly putNode: (node: Health.Node) => void
  readonly putService: (node: string, service: Health.NodeService) => void
  readonly putCheck: (node: string, check: Health.Check) => void
  readonly removeNode: (node: string) => void
  readonly removeService: (node: string, id: string) => void
  readonly removeCheck: (node: string, checkId: string) => void
}

export interface CatalogStore {
  readonly nodes: () => ReadonlyArray<NodeRecord>
  readonly node: (name: string) => NodeRecord | undefined
  /** The instances of a service; with `connect` those through which the mesh reaches it. */
  readonly instances: (service: string, connect: boolean) => ReadonlyArray<Health.ServiceEntry>
  /** The instances of a kind, whatever they are called. */
  readonly ofKind: (kind: string) => ReadonlyArray<Health.ServiceEntry>
  readonly change: (change: (transaction: Transaction) => void) => void
}

interface MutableNode {
  node: Health.Node
  readonly services: Map<string, Health.NodeService>
  readonly checks: Map<string, Health.Check>
}

export const make = (store: Store.Store): CatalogStore => {
  const records = new Map<string, MutableNode>()
  const virtual = VirtualAddresses.make()
  const sorted = () => [...records.values()].sort((a, b) => a.node.Node < b.node.Node ? -1 : 1)

  const having = (belongs: (candidate: Health.NodeService) => boolean): ReadonlyArray<Health.ServiceEntry> =>
    sorted().flatMap(({ checks, node, services }) =>
      servicesOf({ services }).filter(belongs).map((found) => ({
        Node: node,
        Service: found,
        Checks: checksOf(checks, found.ID)
      }))
    )

  return {
    nodes: sorted,
    node: (name) => records.get(keyOf(name)),
    instances: (service, connect) => {
      const name = service.toLowerCase()
      return having((candidate) =>
        connect ? meshName(candidate)?.toLowerCase() === name : candidate.Service.toLowerCase() === name
      )
    },
    ofKind: (kind) => having(({ Kind }) => Kind === kind),
    change: (apply) =>
      store.commit((index) => {
        const change = new Change(records, virtual, index)
        apply(change)
        return [undefined, change.topics]
      })
  }
}

const keyOf = (node: string): string => node.toLowerCase()

/** One commit: changes the records, and collects the topics that these changes are about. */
class Change implements Transaction {
  readonly topics = new Set<Store.Topic>()
  private readonly records: Map<string, MutableNode>
  private readonly virtual: VirtualAddresses.VirtualAddresses
  private readonly index: number

  constructor(records: Map<string, MutableNode>, virtual: VirtualAddresses.VirtualAddresses, index: number) {
    this.records = records
    this.virtual = virtual
    this.index = index
  }

  putNode(node: Health.Node): void {
    const before = this.records.get(keyOf(node.Node))
    if (before === undefined) {
      this.records.set(keyOf(node.Node), { node: stamp(node, this.index), services: new Map(), checks: new Map() })
    } else {
      if (same(before.node, node)) return
      before.node = { ...stamp(node, this.index), CreateIndex: before.node.CreateIndex }
      this.touchAll(before)
    }
    this.topics.add("nodes")
  }

  putService(node: string, registered: Health.NodeService): void {
    const mesh = meshName(registered)
    const service = mesh === undefined ? registered : this.virtual.tag(mesh, registered)
    const { services } = this.present(node)
    const before = services.get(service.ID)
    if (before !== undefined && same(before, service)) return
    if (before !== undefined) this.touch(before)
    services.set(service.ID, { ...stamp(service, this.index), CreateIndex: before?.CreateIndex ?? this.index })
    this.touch(service)
  }

  putCheck(node: string, check: Health.Check): void {
    const found = this.present(node)
    const before = found.checks.get(check.CheckID)
    if (before !== undefined && same(before, check)) return
    found.checks.set(check.CheckID, { ...stamp(check, this.index), CreateIndex: before?.CreateIndex ?? this.index })
    this.touchChecked(found, check)
  }

  removeNode(node: string): void {
    const found = this.records.get(keyOf(node))
    if (found === undefined) return
    this.touchAll(found)
    this.records.delete(keyOf(node))
    this.topics.add("nodes").add("checks")
  }

  removeService(node: string, id: string): void {
    const found = this.records.get(keyOf(node))
    const before = found?.services.get(id)
    if (found === undefined || before === undefined) return
    found.services.delete(id)
    for (const [checkId, check] of found.checks) {
      if (check.ServiceID === id) found.checks.delete(checkId)
    }
    this.touch(before)
    this.topics.add("checks")
  }

  removeCheck(node: string, checkId: string): void {
    const found = this.records.get(keyOf(node))
    const before = found?.checks.get(checkId)
    if (found === undefined || before === undefined) return
    found.checks.delete(checkId)
    this.touchChecked(found, before)
  }

  private present(node: string): MutableNode {
    const found = this.records.get(keyOf(node))
    if (found === undefined) throw new Error(`the catalog has no node ${node}`)
    return found
  }

  private touch(service: Health.NodeService): void {
    for (const topic of topicsOf(service)) this.topics.add(topic)
  }

  private touchAll({ services }: MutableNode): void {
    for (const service of services.values()) this.touch(service)
  }

  /** A check of the node is about all services on it. */
  private touchChecked(record: MutableNode, { ServiceID }: Health.Check): void {
    const service = record.services.get(ServiceID)
    if (service === undefined) this.touchAll(record)
    else this.touch(service)
    this.topics.add("checks")
  }
}

/** Those of a list that are instances of a service; with `connect` those through which the mesh reaches it. */
export const ofService = (
  entries: ReadonlyArray<Health.ServiceEntry>,
  service: string,
  connect: boolean
): ReadonlyArray<Health.ServiceEntry> =>
  entries.filter(({ Service }) =>
    (connect ? meshName(Service) : Service.Service)?.toLowerCase() === service.toLowerCase()
  )

/** The service that the mesh reaches through this instance, if it does. */
export const meshName = (service: Health.NodeService): string | undefined =>
  service.Kind === "connect-proxy"
    ? service.Proxy.DestinationServiceName
    : service.Connect.Native
    ? service.Service
    : undefined

/** By id. */
export const servicesOf = ({ services }: Pick<NodeRecord, "services">): ReadonlyArray<Health.NodeService> =>
  [...services.values()].sort((a, b) => a.ID < b.ID ? -1 : 1)

export const byId = (checks: Iterable<Health.Check>): ReadonlyArray<Health.Check> =>
  Array.from(checks).sort((a, b) => a.CheckID < b.CheckID ? -1 : 1)

/** The node's own checks first. */
export const checksOf = (checks: ReadonlyMap<string, Health.Check>, serviceId: string): ReadonlyArray<Health.Check> => {
  const sorted = byId(checks.values())
  return [
    ...sorted.filter(({ ServiceID }) => ServiceID === ""),
    ...(serviceId === "" ? [] : sorted.filter(({ ServiceID }) => ServiceID === serviceId))
  ]
}

const topicsOf = (service: Health.NodeService): ReadonlyArray<Store.Topic> => {
  const mesh = meshName(service)
  return [
    "services",
    serviceTopic(service.Service),
    ...(service.Kind === "terminating-gateway" ? ["links" as const] : []),
    ...(mesh === undefined ? [] : [connectTopic(mesh)])
  ]
}

export const serviceTopic = (service: string): Store.Topic => `service:${service.toLowerCase()}`
export const connectTopic = (service: string): Store.Topic => `connect:${service.toLowerCase()}`

interface Stored {
  readonly CreateIndex: number
  readonly ModifyIndex: number
}

const stamp = <A extends Stored>(value: A, index: number): A => ({ ...value, CreateIndex: index, ModifyIndex: index })

const same = <A extends Stored>(a: A, b: A): boolean =>
  Equal.equals({ ...a, CreateIndex: 0, ModifyIndex: 0 }, { ...b, CreateIndex: 0, ModifyIndex: 0 })
