/**
 * How V8 collects garbage in a process that relays.
 *
 * The young generation is collected by the main thread alone. V8 shares that with helper threads, and waits for them: on cores that other
 * processes keep busy each waits for its turn, and all requests at hand wait with it. Measured on Node 24, two busy cores, 32
 * connections: the 99th percentile of small requests 0.25 of what it was, requests a second + 19 %, CPU for each - 22 %; 64 KiB
 * bodies as before; new connections - 10 %, as each leaves much behind that is still in use.
 *
 * A process that relays bulk data throws away one 64 KiB buffer for each read. V8 frees those when it collects the young
 * generation, but fills 64 MiB of them before a young generation of the default size is full, and then marks the whole heap:
 * with the 30 MB of code and schemas of this package, up to half of the CPU time of a bulk transfer. A small young generation is
 * collected before that. Measured on Node 24: bulk throughput + 58 %, small requests and new connections as before. The V8 of Node 26
 * has no such flag, and keeps its young generation smaller by itself (13 MiB where that of Node 24 has 128, under the same load).
 */
import * as V8 from "node:v8"
import { Effect } from "effect"

/** For the executables: it holds for the whole process. Has to run before load. Flags that V8 does not know, it complains of. */
export const tuneForRelaying: Effect.Effect<void> = Effect.sync(() => {
  V8.setFlagsFromString("--no-parallel-scavenge")
  if (Number.parseInt(process.versions.v8) === 13) V8.setFlagsFromString("--scavenger-max-new-space-capacity-mb=4")
})
