/**
 * The services that a program calls, by key, and which of them to let go: those that were idle for too long, and the one
 * that was idle for the longest time where another one needs its place. State without a clock or scopes of its own.
 */
export interface Entry {
  /** In milliseconds. */
  usedAt: number
  /** Requests wait for it or go on. */
  readonly isInUse: () => boolean
  /** Whether it has instances. */
  readonly isKnown: () => boolean
}

export interface Limits {
  /** How many services there may be. */
  readonly maxServices: number
  /** How long a service may be idle. */
  readonly idleMillis: number
  /** The same for one without instances: its name may have been made up by outsiders. */
  readonly unknownMillis: number
}

export interface ServiceTable<E extends Entry> {
  readonly get: (key: string) => E | undefined
  readonly entries: () => Iterable<E>
  readonly size: () => number
  /** Makes a place for one more: takes out at most one entry, which the caller has to close. Undefined: all are in use. */
  readonly makePlace: () => ReadonlyArray<E> | undefined
  readonly add: (key: string, entry: E) => void
  /** Takes out all that have been idle for too long, at once: what is used from now on is another entry. */
  readonly takeIdle: (now: number) => ReadonlyArray<E>
}

export const make = <E extends Entry>({ idleMillis, maxServices, unknownMillis }: Limits): ServiceTable<E> => {
  const entries = new Map<string, E>()

  const takeOut = ([key, entry]: readonly [string, E]): E => {
    entries.delete(key)
    return entry
  }

  const isIdle = (entry: E, now: number): boolean =>
    !entry.isInUse() && now - entry.usedAt > (entry.isKnown() ? idleMillis : unknownMillis)

  return {
    get: (key) => entries.get(key),
    entries: () => entries.values(),
    size: () => entries.size,
    makePlace: () => {
      if (entries.size < maxServices) return []
      let longest: readonly [string, E] | undefined
      for (const each of entries) {
        if (!each[1].isInUse() && (longest === undefined || each[1].usedAt < longest[1].usedAt)) longest = each
      }
      return longest === undefined ? undefined : [takeOut(longest)]
    },
    add: (key, entry) => {
      entries.set(key, entry)
    },
    takeIdle: (now) => [...entries].filter(([, entry]) => isIdle(entry, now)).map(takeOut)
  }
}
