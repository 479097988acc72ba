/**
 * How V8 collects garbage in a process that relays.
 *
 * The young generation is collected by the main thread alone. V8 shares that with helper threads, and waits for them: on cores that other
 * processes keep busy each waits for its turn, and all requests at hand wait with it. Measured on Node 24, two busy cores, 32
 * connections: the 99th percentile of small requests 0.25 of what it was, requests a second + 19 %, CPU for each - 22 %; 64 KiB
 * bodies as before; new connections - 10 %, as each leaves much behind that is still in use.
 *
 * A process that relays bodies throws away a buffer of 64 KiB for each read, and next to nothing else. Two habits of V8 then make it mark the whole
 * heap up to ten times a second, at half of the CPU time and with pauses that all requests share:
 * - It lets 64 MiB of such buffers wait for the young generation to fill up. They count as growth of the old one, so it marks that. Where the largest
 *   young generation is said to be small, it collects buffers after 4 MiB of them. The V8 of Node 26 has no such flag, and keeps its young
 *   generation smaller by itself.
 * - It takes a heap that changes slowly for one that may be kept tight, and begins to mark after 8 MiB of growth, or as soon as the young generation
 *   gets larger; having marked, it makes that smaller again, and so on. Here the heap may become three times as large first.
 *
 * Measured together on Node 24 beside Envoy: marked 0.1 times as often; requests of 64 KiB + 35 % a second, their 99th percentile 0.4 of what it was;
 * answers + 28 %, and 0.56; small requests and new connections as before. What is kept too long comes back at rest: see `IdleMemory`.
 */
import * as V8 from "node:v8"

/**
 * For the executables: it holds for the whole process. Has to run before load, and may again. Flags that V8 does not know, it complains of.
 * Without Effect: `src/cli/bin.ts` is to have it before all else, as what was compiled is kept for the flags that it was compiled with.
 */
export const tuneForRelaying = (): void => {
  V8.setFlagsFromString("--no-parallel-scavenge")
  V8.setFlagsFromString("--heap-growing-percent=200")
  if (Number.parseInt(process.versions.v8) === 13) V8.setFlagsFromString("--scavenger-max-new-space-capacity-mb=1")
}
