/**
 * Which of the healthy instances of a target takes the next request. A state machine without clock or randomness of its
 * own: its arguments determine its pick.
 *
 * - `round-robin`: by weight, as evenly as can be: in each round of as many picks as the sum of the weights, each host
 *   has its weight of them, spread out. A schedule of turns, as Envoy's: a pick costs the logarithm of the number of hosts.
 * - `random`: uniformly; weights do not count, as in Envoy.
 * - `least-request`: the least busy of `choices` random ones; where weights differ, a round robin by weight over what a
 *   host is busy with when its turn is over.
 * - `ring-hash`, `maglev`: the host of the hash, so that equal requests meet; without a hash a random one.
 */
import * as HashRing from "./HashRing.ts"
import * as Maglev from "./Maglev.ts"
import * as EarliestDeadline from "./EarliestDeadline.ts"

export type Policy =
  | { readonly _tag: "round-robin" }
  | { readonly _tag: "random" }
  | { readonly _tag: "least-request"; readonly choices: number }
  | { readonly _tag: "ring-hash"; readonly minimumSize: number; readonly maximumSize: number }
  | { readonly _tag: "maglev"; readonly size: number }

export const roundRobin: Policy = { _tag: "round-robin" }
export const random: Policy = { _tag: "random" }
/** `choices`: 2 as in Envoy. */
export const leastRequest = (choices = 2): Policy => ({ _tag: "least-request", choices: Math.max(1, choices) })
/** Consul's defaults: 1024 and 8192 points. A size of 0 means the default. */
export const ringHash = (minimumSize = 1024, maximumSize = 8192): Policy => ({
  _tag: "ring-hash",
  minimumSize: minimumSize || 1024,
  maximumSize: maximumSize || 8192
})
export const maglev: Policy = { _tag: "maglev", size: 65_537 }

export interface Host {
  readonly id: string
  /** Above 0. */
  readonly weight: number
}

export interface Pick {
  /** From 0 up to but not including 1. */
  readonly random: () => number
  /** Requests that a host is busy with. Absent: none. */
  readonly active?: ((id: string) => number) | undefined
  /** Hosts to leave out: ejected, or tried already. */
  readonly without?: ((id: string) => boolean) | undefined
  /** 32 bits of the values that the policy hashes. */
  readonly hash?: number | undefined
}

export interface LoadBalancer<H extends Host> {
  /** Replaces the hosts. Those that stay keep their place in the round. */
  readonly update: (hosts: ReadonlyArray<H>) => void
  /** Undefined: no host is left. */
  readonly pick: (pick: Pick) => H | undefined
}

/** After so many draws of hosts that are left out, the others are listed. */
const maxDraws = 8

export const make = <H extends Host>(policy: Policy): LoadBalancer<H> => {
  let hosts: ReadonlyArray<H> = []
  let equal = true
  const turns = EarliestDeadline.make<H>()
  let table: HashRing.HashRing | undefined

  const inTurn = ({ active, without }: Pick): H | undefined =>
    turns.next(
      (host) => without?.(host.id) !== true,
      active === undefined ? weightOf : (host) => host.weight / (active(host.id) + 1)
    )

  const anyOf = ({ random, without }: Pick): H | undefined => {
    for (let draw = 0; draw < maxDraws; draw++) {
      const drawn = hosts[Math.floor(random() * hosts.length)]
      if (drawn === undefined || without?.(drawn.id) !== true) return drawn
    }
    const left = hosts.filter(({ id }) => without?.(id) !== true)
    return left[Math.floor(random() * left.length)]
  }

  const leastBusy = (pick: Pick, choices: number): H | undefined => {
    let best = anyOf(pick)
    for (let i = 1; i < choices && best !== undefined; i++) {
      const other = anyOf(pick)!
      if ((pick.active?.(other.id) ?? 0) < (pick.active?.(best.id) ?? 0)) best = other
    }
    return best
  }

  return {
    update: (next) => {
      hosts = next
      equal = next.every(({ weight }) => weight === next[0]!.weight)
      turns.update(next)
      table = undefined
    },
    pick: (pick) => {
      switch (policy._tag) {
        case "round-robin":
          return inTurn({ ...pick, active: undefined })
        case "random":
          return anyOf(pick)
        case "least-request":
          return equal ? leastBusy(pick, policy.choices) : inTurn({ active: () => 0, ...pick })
        case "ring-hash":
        case "maglev": {
          if (pick.hash === undefined) return anyOf(pick)
          if (hosts.length === 0) return undefined
          table ??= policy._tag === "maglev" ? Maglev.make(hosts, policy.size) : HashRing.make(hosts, policy)
          const index = table.find(pick.hash, (index) => pick.without?.(hosts[index]!.id) !== true)
          return index === undefined ? undefined : hosts[index]
        }
      }
    }
  }
}

const weightOf = ({ weight }: Host): number => weight
