/**
 * Hosts that take turns by weight: the earliest deadline first. A host of weight `w` has its turns at 1/2w, 3/2w, 5/2w, …, so that in
 * each unit of time it has `w` of them, spread evenly. A heap: a turn costs the logarithm of the number of hosts.
 *
 * A host that is passed over loses its turn. It does not get it back later.
 */
export interface Host {
  readonly id: string
  /** Above 0. */
  readonly weight: number
}

export interface EarliestDeadline<H extends Host> {
  /** Replaces the hosts. Those that stay keep their next turn. */
  readonly update: (hosts: ReadonlyArray<H>) => void
  /** Whose turn it is, of those that `mayTake` it; `weight` says how soon they have the next. */
  readonly next: (mayTake: (host: H) => boolean, weight: (host: H) => number) => H | undefined
}

interface Turn<H> {
  host: H
  at: number
  /** Of equal deadlines the one that was set first is met first. */
  order: number
}

export const make = <H extends Host>(): EarliestDeadline<H> => {
  let heap: Array<Turn<H>> = []
  let now = 0
  let orders = 0

  const before = (a: Turn<H>, b: Turn<H>): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

  /** Puts a turn where it belongs in the first `size` places, below the hole at `index`. */
  const sink = (index: number, turn: Turn<H>, size: number): void => {
    while (true) {
      let child = 2 * index + 1
      if (child >= size) break
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, turn)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = turn
  }

  const rise = (index: number, turn: Turn<H>): void => {
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(turn, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = turn
  }

  return {
    update: (hosts) => {
      const known = new Map(heap.map((turn) => [turn.host.id, turn]))
      heap = hosts.map((host) => {
        const turn = known.get(host.id)
        const at = turn === undefined || turn.host.weight !== host.weight ? now + 0.5 / host.weight : turn.at
        return { host, at, order: turn?.order ?? ++orders }
      }).sort((a, b) => before(a, b) ? -1 : 1)
    },
    next: (mayTake, weight) => {
      // Hosts that are passed over wait behind the heap's end until the turn is decided.
      let size = heap.length
      let taken: H | undefined
      while (size > 0) {
        const turn = heap[0]!
        now = turn.at
        if (mayTake(turn.host)) {
          taken = turn.host
          turn.at += 1 / weight(turn.host)
          turn.order = ++orders
          sink(0, turn, size)
          break
        }
        sink(0, heap[--size]!, size)
        heap[size] = turn
      }
      for (; size < heap.length; size++) {
        const passed = heap[size]!
        passed.at = now + 1 / passed.host.weight
        passed.order = ++orders
        rise(size, passed)
      }
      return taken
    }
  }
}
