/**
 * Addresses that stand for services of the mesh, and lead nowhere by themselves: from 240.0.0.1 up, in the order in which the
 * services have come, as Consul assigns them (`agent/consul/state/catalog.go`). A service keeps its address.
 */
import type * as Health from "../consul/Health.ts"

export interface VirtualAddresses {
  /** An instance through which the mesh reaches `service`, with the address of that. */
  readonly tag: (service: string, instance: Health.NodeService) => Health.NodeService
}

/** What Consul calls it among the addresses of an instance. */
const tagName = "consul-virtual"

export const make = (): VirtualAddresses => {
  const assigned = new Map<string, string>()
  const addressOf = (service: string): string => {
    const name = service.toLowerCase()
    const before = assigned.get(name)
    if (before !== undefined) return before
    const address = format(assigned.size + 1)
    assigned.set(name, address)
    return address
  }
  return {
    tag: (service, instance) => ({
      ...instance,
      TaggedAddresses: {
        ...instance.TaggedAddresses,
        [tagName]: { Address: addressOf(service), Port: instance.Port }
      }
    })
  }
}

/** The address with this number of the block. */
export const format = (number: number): string =>
  [240 + (number >>> 24), (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join(".")
