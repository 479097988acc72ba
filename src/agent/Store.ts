/**
 * What the agent knows about changes: one counter, as a server's Raft log has, and for every topic the count at its last
 * change. State itself lives with its owners; they change it inside `commit`, which wakes waiting readers.
 *
 * Everything here is synchronous: no reader sees half of a commit.
 */
import { Effect } from "effect"

/** What a reader may wait for. `service:web` changes with any instance of it, `services` with any instance at all; `links` with
 * what says which terminating gateways are the way to which services. */
export type Topic =
  | "roots"
  | "ca-config"
  | "config"
  | "nodes"
  | "services"
  | "checks"
  | "queries"
  | "gateways"
  | "peering"
  | "links"
  | `service:${string}`
  | `connect:${string}`
  | `leaf:${string}`
  | `unsigned:${string}`
  | `local:${string}`

export interface Store {
  /** The index of the last change; 1 before the first. */
  readonly index: () => number
  /** The index of the last change to any of the topics; 0 if there was none. */
  readonly indexOf: (topics: Iterable<Topic>) => number
  /** Runs `change` under the next index, then wakes readers that wait for one of the topics that it returns. */
  readonly commit: <A>(change: (index: number) => readonly [A, Iterable<Topic>]) => A
  /** Returns once `indexOf(topics)` differs from `seen`. */
  readonly changed: (topics: ReadonlyArray<Topic>, seen: number) => Effect.Effect<void>
  /** Forgets a topic without waiting readers, as if it had never changed. */
  readonly forget: (topic: Topic) => void
  /** The same for another datacenter, which is no reader. */
  readonly followed: (topics: ReadonlyArray<Topic>, seen: number) => Effect.Effect<void>
  /** How many readers are waiting. */
  readonly waiting: () => number
}

export const make = (): Store => {
  // Low numbers belong to the bootstrap of a real cluster.
  let index = 1
  const changes = new Map<Topic, number>()
  const waiters = new Set<
    { readonly topics: ReadonlyArray<Topic>; readonly wake: () => void; readonly reads: boolean }
  >()

  const indexOf = (topics: Iterable<Topic>): number => {
    let latest = 0
    for (const topic of topics) latest = Math.max(latest, changes.get(topic) ?? 0)
    return latest
  }

  const changed = (topics: ReadonlyArray<Topic>, seen: number, reads: boolean) =>
    Effect.callback<void>((resume) => {
      if (indexOf(topics) !== seen) return resume(Effect.void)
      const waiter = { topics, reads, wake: () => resume(Effect.void) }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })

  return {
    index: () => index,
    indexOf,
    commit: (change) => {
      const [value, topics] = change(++index)
      const touched = new Set(topics)
      for (const topic of touched) changes.set(topic, index)
      for (const waiter of Array.from(waiters)) {
        if (waiter.topics.some((topic) => touched.has(topic))) {
          waiters.delete(waiter)
          waiter.wake()
        }
      }
      return value
    },
    changed: (topics, seen) => changed(topics, seen, true),
    followed: (topics, seen) => changed(topics, seen, false),
    forget: (topic) => {
      changes.delete(topic)
    },
    waiting: () => [...waiters].filter(({ reads }) => reads).length
  }
}
