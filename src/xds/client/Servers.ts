/**
 * Which of Consul's servers is asked next. Those that were named are known from the start, others are found by asking one. One that has
 * failed is asked again only after all others.
 */
import * as Grpc from "./Grpc.ts"

export interface Servers {
  /** `random` is from 0 up to but not including 1. Undefined: none is known. */
  readonly next: (random: number) => Grpc.Address | undefined
  readonly failed: (address: Grpc.Address) => void
  readonly succeeded: (address: Grpc.Address) => void
  /** Whether there is one that has not failed since a server last answered. */
  readonly hasFresh: () => boolean
  /** What a server says of all of them. */
  readonly found: (addresses: ReadonlyArray<Grpc.Address>) => void
  /** What the names that were given lead to now. */
  readonly named: (addresses: ReadonlyArray<Grpc.Address>) => void
  readonly all: () => ReadonlyArray<Grpc.Address>
}

export const make = (): Servers => {
  let named: ReadonlyArray<Grpc.Address> = []
  let found: ReadonlyArray<Grpc.Address> = []
  /** In the order in which they failed. */
  const failures = new Map<string, number>()
  let count = 0
  const all = () => {
    const unique = new Map<string, Grpc.Address>()
    for (const address of [...found, ...named]) unique.set(Grpc.format(address), address)
    return [...unique.values()]
  }
  const failureOf = (address: Grpc.Address) => failures.get(Grpc.format(address)) ?? 0
  return {
    all,
    next: (random) => {
      const candidates = all()
      const least = Math.min(...candidates.map(failureOf))
      const best = candidates.filter((address) => failureOf(address) === least)
      return best[Math.floor(random * best.length)]
    },
    failed: (address) => void failures.set(Grpc.format(address), ++count),
    succeeded: () => failures.clear(),
    hasFresh: () => all().some((address) => failureOf(address) === 0),
    found: (addresses) => {
      found = addresses
    },
    named: (addresses) => {
      named = addresses
    }
  }
}

/** `host:port`, `[::1]:8502`. Undefined: it is none. */
export const parse = (text: string): Grpc.Address | undefined => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3] ?? 0)
  const host = match?.[1] ?? match?.[2]
  return host === undefined || port === 0 || port > 65_535 ? undefined : { host, port }
}
