/**
 * Profiles of our sidecars, one pair of files for each load: `npm run bench -- http --profile`.
 *
 * For each load both sidecars start anew under `--cpu-prof`, are warmed up, put under load for some seconds and stopped. Into the
 * folder that is printed go `<load>-outbound.cpuprofile` and `<load>-inbound.cpuprofile`, and this prints for each where its time
 * went while it was under load: how busy it was, then the functions in which most of the time was spent themselves.
 *
 * How to read what is printed
 * - `busy` is the share of the time in which the process did something. Below 90 % the sidecar is not what holds the load up: look at the
 *   other side, or at how few connections there are. All percentages below it are of the busy time.
 * - The groups come first. `src` is our code; `node` is JavaScript of Node itself (streams, TLS wrapping, timers); `effect` is the runtime
 *   of Effect, which has no business in a hot path; `native` is C++ of Node and OpenSSL, and system calls: `writeBuffer` and `writev` write to
 *   sockets (encryption included), `(program)` is all that V8 has no name for; `garbage` is the collector. A proxy that does next to
 *   nothing itself is `native` to four fifths: bring the rest down, and how often the natives are called.
 * - Then functions by their own time, without what they call. One with much of it is either called too often or does too much.
 *   `anonymous` ones are told apart by file and line.
 * - Time is wall-clock time: on a machine that does other work, it includes waiting for a core. Compare shares, not milliseconds.
 * - V8 inlines: the time of a function that was inlined goes to the one that calls it.
 *
 * How to look closer
 * - Open a file in Chromium's DevTools (Performance, "Load profile…"), or in https://www.speedscope.app, which runs in the browser alone.
 *   "Left heavy" there is a flame graph; "Sandwich" shows who calls a function. The first second or two are the start of the
 *   program: choose a range in the middle.
 * - Who is to blame for garbage: run one side by hand with `--heap-prof` in place of `--cpu-prof`.
 * - Why V8 throws optimised code away: `--trace-deopt`, likewise.
 * - Profiles cost some 10 %: take rates from the benchmark without them.
 */
import { readFileSync } from "node:fs"
import { Schema } from "effect"
import { table } from "../table.ts"

const CpuProfile = Schema.Struct({
  nodes: Schema.Array(Schema.Struct({
    id: Schema.Finite,
    callFrame: Schema.Struct({ functionName: Schema.String, url: Schema.String, lineNumber: Schema.Finite })
  })),
  /** Microseconds, on the clock of `hrtime`. */
  startTime: Schema.Finite,
  samples: Schema.Array(Schema.Finite),
  timeDeltas: Schema.Array(Schema.Finite)
})

export type CpuProfile = typeof CpuProfile.Type

/** Milliseconds on the clock that all processes share. */
export interface Window {
  readonly from: number
  readonly until: number
}

export interface Summary {
  /** Of the time in the window. */
  readonly busy: number
  /** Of the busy time, largest first. */
  readonly groups: ReadonlyArray<readonly [name: string, share: number]>
  readonly functions: ReadonlyArray<readonly [name: string, share: number]>
}

export const read = (file: string): CpuProfile =>
  Schema.decodeSync(Schema.fromJsonString(CpuProfile))(readFileSync(file, "utf8"))

export const summarize = (profile: CpuProfile, window: Window): Summary => {
  const frames = new Map(profile.nodes.map(({ callFrame, id }) => [id, callFrame]))
  const groups = new Map<string, number>()
  const functions = new Map<string, number>()
  let [now, idle, busy] = [profile.startTime / 1000, 0, 0]
  profile.samples.forEach((id, index) => {
    const millis = profile.timeDeltas[index]! / 1000
    now += millis
    if (now < window.from || now > window.until) return
    const frame = frames.get(id)!
    if (frame.functionName === "(idle)") return void (idle += millis)
    busy += millis
    const group = groupOf(frame)
    const name = nameOf(frame)
    groups.set(group, (groups.get(group) ?? 0) + millis)
    functions.set(name, (functions.get(name) ?? 0) + millis)
  })
  const shares = (map: ReadonlyMap<string, number>) =>
    [...map].map(([name, millis]) => [name, millis / busy] as const).sort((a, b) => b[1] - a[1])
  return { busy: busy / (busy + idle || 1), groups: shares(groups), functions: shares(functions) }
}

export const format = (title: string, { busy, functions, groups }: Summary, most = 25): string => {
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  const rows = [...groups, ["", Number.NaN] as const, ...functions.slice(0, most)]
  const lines = rows.map(([name, share]) => [name, Number.isNaN(share) ? "" : percent(share)])
  return table([[title, `busy ${percent(busy)}`], ...lines])
}

type Frame = CpuProfile["nodes"][number]["callFrame"]

const groupOf = ({ functionName, url }: Frame): string => {
  if (functionName === "(garbage collector)") return "garbage"
  if (url === "") return "native"
  if (url.startsWith("node:")) return "node"
  if (!url.includes("/node_modules/")) return "src"
  return /\/node_modules\/(effect|@effect)\//.test(url) ? "effect" : "other packages"
}

const nameOf = ({ functionName, lineNumber, url }: Frame): string => {
  if (url === "") return functionName
  const place = url.replace(/^.*\/node_modules\//, "").replace(/^.*\/(?=src\/)/, "")
  return `${functionName === "" ? "anonymous" : functionName}  ${place}:${lineNumber + 1}`
}
