/**
 * A map and a set for what comes and goes by the thousand: connections, streams, requests.
 *
 * V8 makes another table for a map in which much is added and deleted, and the table that it leaves points to the one that follows. Once one
 * table is old enough to be looked at only with the whole heap, each that follows is taken for alive, with all that was in it: sockets that
 * are closed, requests that are answered. Collecting the young generation then copies them all, with pauses of 10 ms and more instead of
 * less than one. So these begin a new map now and then, to which no old table points.
 */

/** Deletions before another map is begun. Beyond what is in it, lest a large one is copied often. */
const renewAfter = 64

export class TurnoverMap<K, V> {
  #map = new Map<K, V>()
  #deleted = 0

  get size(): number {
    return this.#map.size
  }

  get(key: K): V | undefined {
    return this.#map.get(key)
  }

  has(key: K): boolean {
    return this.#map.has(key)
  }

  set(key: K, value: V): void {
    this.#map.set(key, value)
  }

  delete(key: K): boolean {
    if (!this.#map.delete(key)) return false
    if (++this.#deleted > renewAfter + this.#map.size) {
      this.#map = new Map(this.#map)
      this.#deleted = 0
    }
    return true
  }

  clear(): void {
    this.#map = new Map()
    this.#deleted = 0
  }

  /** In the order in which they were added. Any may be deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<readonly [K, V]> {
    const map = this.#map
    for (const entry of map) {
      if (map === this.#map) yield entry
      else if (this.#map.has(entry[0])) yield [entry[0], this.#map.get(entry[0])!]
    }
  }

  *keys(): IterableIterator<K> {
    const map = this.#map
    for (const key of map.keys()) if (map === this.#map || this.#map.has(key)) yield key
  }
}

export class TurnoverSet<A> {
  readonly #map = new TurnoverMap<A, true>()

  get size(): number {
    return this.#map.size
  }

  has(one: A): boolean {
    return this.#map.has(one)
  }

  add(one: A): void {
    this.#map.set(one, true)
  }

  delete(one: A): boolean {
    return this.#map.delete(one)
  }

  clear(): void {
    this.#map.clear()
  }

  /** The one that was added first. */
  first(): A | undefined {
    return this.size === 0 ? undefined : this.#map.keys().next().value
  }

  /** In the order in which they were added. Any may be deleted meanwhile. */
  [Symbol.iterator](): IterableIterator<A> {
    return this.#map.keys()
  }
}
