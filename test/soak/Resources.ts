/** What a process holds. */

export interface Resources {
  /** Connections, of either side. */
  readonly sockets: number
  /** Listening. */
  readonly servers: number
  readonly timers: number
  readonly fibers: number
  /** MB of 10^6 bytes: of live objects, after a collection. */
  readonly heap: number
  /** MB that are resident. */
  readonly resident: number
}

export const kinds = ["sockets", "servers", "timers", "fibers", "heap", "resident"] as const

const count = (all: ReadonlyArray<string>, ...names: ReadonlyArray<string>): number =>
  all.filter((name) => names.includes(name)).length

/** Of this process. Needs `--expose-gc`. */
export const now = (fibers: number): Resources => {
  globalThis.gc?.()
  const active = process.getActiveResourcesInfo()
  const { heapUsed, rss } = process.memoryUsage()
  return {
    sockets: count(active, "TCPSocketWrap", "PipeWrap", "TLSWrap"),
    servers: count(active, "TCPServerWrap"),
    timers: count(active, "Timeout"),
    fibers,
    heap: heapUsed / 1e6,
    resident: rss / 1e6
  }
}

/**
 * How much more than at the start may be there at the end: what is counted comes back to a few, as watches come and go; the heap keeps
 * compiled code and what has been seen of the mesh, and so does the resident size, of which the allocator of C keeps some in pieces.
 */
const allowed = {
  sockets: (start: number) => start + 8,
  servers: (start: number) => start,
  timers: (start: number) => start + 12,
  fibers: (start: number) => start * 1.02 + 16,
  heap: (start: number) => start * 1.1 + 6,
  resident: (start: number) => start * 1.15 + 16
} as const

/** What has not come back, in words. */
export const leaks = (start: Resources, end: Resources): ReadonlyArray<string> =>
  (Object.keys(allowed) as Array<keyof typeof allowed>).flatMap((kind) =>
    end[kind] <= allowed[kind](start[kind])
      ? []
      : [`${kind}: ${end[kind].toFixed(1)} at the end, ${start[kind].toFixed(1)} at the start`]
  )
