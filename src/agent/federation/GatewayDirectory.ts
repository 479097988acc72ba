/**
 * The mesh gateways of all datacenters, as Consul keeps them in its federation states: each datacenter tells the others of
 * its own, and keeps what it heard last.
 */
import { Equal } from "effect"
import type * as Health from "../../consul/Health.ts"
import type * as CatalogStore from "../CatalogStore.ts"
import type * as Store from "../Store.ts"

export interface GatewayDirectory {
  readonly topics: ReadonlyArray<Store.Topic>
  /** By datacenter; those without a gateway are left out. */
  readonly all: () => Record<string, ReadonlyArray<Health.ServiceEntry>>
  readonly own: () => ReadonlyArray<Health.ServiceEntry>
  /** What another datacenter has. */
  readonly learn: (datacenter: string, gateways: ReadonlyArray<Health.ServiceEntry>) => void
}

/** What a change of the own ones shows in. */
export const ownTopics: ReadonlyArray<Store.Topic> = ["nodes", "services", "checks"]

export const make = (options: {
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly datacenter: string
}): GatewayDirectory => {
  const others = new Map<string, ReadonlyArray<Health.ServiceEntry>>()
  const own = () => options.catalog.ofKind("mesh-gateway")
  return {
    topics: ["gateways", ...ownTopics],
    own,
    all: () =>
      Object.fromEntries(
        [[options.datacenter, own()] as const, ...others].filter(([, gateways]) => gateways.length > 0)
          .toSorted(([a], [b]) => a < b ? -1 : 1)
      ),
    learn: (datacenter, gateways) => {
      if (Equal.equals(others.get(datacenter) ?? [], gateways)) return
      options.store.commit(() => {
        others.set(datacenter, gateways)
        return [undefined, ["gateways"]]
      })
    }
  }
}
