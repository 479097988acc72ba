/**
 * `npm run soak -- --minutes 10`: random traffic through a process of sidecars, while certificates are rotated, an instance comes and
 * goes, intentions change and clients vanish. Everything is on loopback. Ends with 1 if a call fails that is allowed, or the process
 * does not come back to what it held at the start: sockets, timers, fibers, memory. `--svg FILE` writes the curve.
 */
import { type ChildProcess, fork } from "node:child_process"
import { writeFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import * as Processes from "../bench/processes.ts"
import { table } from "../bench/table.ts"
import * as Chart from "./Chart.ts"
import * as Load from "./Load.ts"
import * as Mesh from "./Mesh.ts"
import * as Resources from "./Resources.ts"
import type * as Subject from "./subject.ts"

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, svg: { type: "string" } } })
const minutes = Number(values.minutes)
if (!(minutes > 0 && minutes <= 120)) {
  process.stderr.write("usage: npm run soak -- [--minutes NUMBER, up to 120] [--svg FILE]\n")
  process.exit(1)
}

/** For code to be compiled, and pools to be filled, before anything is compared. */
const warmUpSeconds = 20

/**
 * For connections that are kept to reach the end of their idle time, 30 s to instances, for the agent to drop rotated roots, and for a whole
 * minute in which so little went on that memory is given back.
 */
const quietSeconds = 165

const measure = async (subject: ChildProcess): Promise<Subject.Told> => {
  const told = Processes.told<Subject.Told>(subject)
  subject.send("measure")
  return told
}

const settled = async (subject: ChildProcess, sidecars: number): Promise<Resources.Resources> => {
  await sleep(quietSeconds * 1000)
  for (;;) {
    const { resources, running } = await measure(subject)
    if (running === sidecars) return resources
    await sleep(1000)
  }
}

/** For how long a change may still be felt. */
const lingers = 2000

const loadFor = async (agent: ChildProcess, mesh: Mesh.Mesh, seconds: number): Promise<Load.Ran> => {
  const end = performance.now() + seconds * 1000
  const isOver = () => performance.now() > end
  const changes = new Map<string, number>()
  const change = async (what: string, act: () => Promise<unknown>) => {
    changes.set(what, Infinity)
    await act()
    changes.set(what, performance.now() + lingers)
  }
  const isFelt = (what: string) => (changes.get(what) ?? 0) > performance.now()
  const denial = (service: string) => `${service} was denied`
  const meanwhile = () => {
    const now = [...changes.keys()].filter(isFelt)
    return now.length === 0 ? "nothing changed" : now.toSorted().join(", ")
  }
  const [ran] = await Promise.all([
    Load.run({ ports: mesh, meanwhile, isDenied: (service) => isFelt(denial(service)), isOver }),
    Mesh.again(isOver, [15, 30], () => change("roots were rotated", async () => agent.send("rotate"))),
    Mesh.again(isOver, [10, 20], async () => {
      await change("an instance left", mesh.leave)
      await sleep(4000)
      await change("an instance came", mesh.join)
    }),
    Mesh.again(isOver, [4, 8], async () => {
      const service = Math.random() < 0.5 ? "api" : "echo"
      await change(denial(service), async () => {
        await mesh.allow(service, false)
        await sleep(1000)
        await mesh.allow(service, true)
      })
    })
  ])
  return ran
}

const run = async (agent: ChildProcess, subject: ChildProcess): Promise<void> => {
  const address = await Processes.told<string>(agent)
  const mesh = await Mesh.make(address)
  try {
    subject.send(address)
    await Promise.all([mesh.api, mesh.echo].map((port) => Processes.accepts(port, 60)))
    await loadFor(agent, mesh, warmUpSeconds)
    const start = await settled(subject, mesh.sidecars)
    const since = performance.now()
    const secondsNow = () => (performance.now() - since) / 1000
    const samples: Array<Chart.Sample> = [{ ...start, seconds: 0 }]
    const loaded = new AbortController()
    const sampling = Mesh.again(
      () => loaded.signal.aborted,
      [1, minutes * 60 / 100],
      async () => samples.push({ ...(await measure(subject)).resources, seconds: secondsNow() })
    )
    const { counts, failures } = await loadFor(agent, mesh, minutes * 60)
    const loadSeconds = secondsNow()
    loaded.abort()
    await sampling
    const end = await settled(subject, mesh.sidecars)
    samples.push({ ...end, seconds: secondsNow() })
    const most = (kind: (typeof Resources.kinds)[number]) => Math.max(...samples.map((sample) => sample[kind]))
    process.stdout.write(
      `${
        table([
          ["", "start", "most", "end"],
          ...Resources.kinds.map((kind) => [
            kind,
            ...[start[kind], most(kind), end[kind]].map((value) => value.toFixed(0))
          ])
        ])
      }\n\n${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(", ")}\n`
    )
    for (const [why, times] of failures) {
      process.stdout.write(`failed ${times} times: ${why}\n`)
      process.exitCode = 1
    }
    if (values.svg !== undefined) {
      writeFileSync(values.svg, Chart.svg(samples, loadSeconds, `${minutes} minutes of npm run soak`))
    }
    for (const leak of Resources.leaks(start, end)) {
      process.stdout.write(`has not come back: ${leak}\n`)
      process.exitCode = 1
    }
  } finally {
    mesh.close()
  }
}

const children = [
  fork(new URL("./agent.ts", import.meta.url)),
  fork(new URL("./subject.ts", import.meta.url), {
    execArgv: ["--expose-gc", "--no-allocation-site-pretenuring"],
    // As the files in docs/deploy have it.
    env: { ...process.env, MALLOC_ARENA_MAX: "1" }
  })
] as const
try {
  await run(...children)
} finally {
  for (const child of children) child.kill()
}
