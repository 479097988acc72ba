/**
 * The datacenters that know of each other. One is the primary: its authority signs those of the others, and config entries
 * are written there and copied from there (`agent/consul/leader_connect_ca.go`, `replication.go`).
 */
import { Duration, Effect } from "effect"
import * as Wan from "./Wan.ts"

export interface Federation<M> {
  readonly primary: string
  readonly wan: Wan.Wan
  readonly join: (datacenter: string, member: M) => void
  /** Nearest first, `from` itself before all. */
  readonly datacenters: (from: string) => ReadonlyArray<string>
  /** Whatever the state of the lines. */
  readonly member: (datacenter: string) => M | undefined
  /** Undefined: no such datacenter, or no line to it. */
  readonly reach: (from: string, to: string) => Effect.Effect<M | undefined>
}

/** On these lines, which it may share with others. */
export const make = <M>(primary: string, wan: Wan.Wan = Wan.make()): Federation<M> => {
  const members = new Map<string, M>()
  return {
    primary,
    wan,
    join: (datacenter, member) => {
      members.set(datacenter, member)
    },
    datacenters: (from) => {
      const distance = (to: string) => {
        if (to === from) return -1
        const { delay, isCut } = wan.line(from, to)
        return isCut ? Number.MAX_SAFE_INTEGER : Duration.toMillis(delay)
      }
      return [...members.keys()].toSorted((a, b) => distance(a) - distance(b))
    },
    member: (datacenter) => members.get(datacenter),
    reach: (from, to) =>
      Effect.suspend(() => {
        const member = wan.line(from, to).isCut ? undefined : members.get(to)
        return Effect.as(member === undefined ? Effect.void : wan.crossing(from, to), member)
      })
  }
}
