/**
 * Requests through two sidecars to three instances in trouble: they answer 503, reset connections or take long, and one after the other
 * dies, alone or with its sidecar, and comes back. A route allows retries: what may be tried again has to succeed. All is drawn from a
 * seed, but for the times at which things happen. Runs alone too: `node test/bench/chaos.ts`.
 */
import * as Http from "node:http"
import { pathToFileURL } from "node:url"
import { Effect, Exit, Logger, Scope } from "effect"
import * as Scrape from "../support/scrape.ts"
import * as Rules from "../support/rules.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Application from "./chaos/application.ts"
import * as Processes from "./processes.ts"
import { table } from "./table.ts"

export interface Options {
  readonly requests: number
  readonly concurrency: number
  readonly seed: number
  /** After so many requests something dies, and after as many again it is back. */
  readonly every: number
}

/** Further attempts: more than a plan has faults. */
export const retries = 5

export interface Failure {
  readonly request: number
  readonly what: string
  /** That instances have seen. */
  readonly attempts: number
}

export interface Ran {
  readonly sent: number
  readonly failures: ReadonlyArray<Failure>
  /** Milliseconds, of all requests. */
  readonly latencies: ReadonlyArray<number>
  /** Of those that instances have seen more than once. */
  readonly retried: ReadonlyArray<number>
  readonly faults: Readonly<Record<"503" | "reset" | "delay", number>>
  readonly kills: number
  /** Requests that were not tried again, though their route allows it: as many were as may be at a time. */
  readonly refused: number
}

export interface Result {
  readonly quiet: Ran
  readonly chaos: Ran
}

const router: SidecarMesh.Entry = {
  Kind: "service-router",
  Name: "api",
  Routes: [{
    Destination: {
      NumRetries: retries,
      RetryOn: ["5xx", "connect-failure", "reset"],
      RetryOnStatusCodes: [503]
    }
  }]
}

/** The faults of each request, one for each of its first attempts, drawn as they are needed. */
const makePlan = (seed: number) => {
  const random = Rules.random(seed)
  const plans = new Map<number, Array<Application.Fault>>()
  const attempts = new Map<number, number>()
  const faults = { "503": 0, reset: 0, delay: 0 }
  let calm = true
  const draw = (): Application.Fault => {
    const drawn = random()
    return drawn < 0.04 ? "503" : drawn < 0.07 ? "reset" : drawn < 0.1 ? "delay" : undefined
  }
  return {
    faults,
    attempts: (request: number) => attempts.get(request) ?? 0,
    calm: (is: boolean) => {
      calm = is
      attempts.clear()
    },
    add: (request: number) => plans.set(request, calm ? [] : [draw(), draw()]),
    next: (request: number): Application.Fault => {
      attempts.set(request, (attempts.get(request) ?? 0) + 1)
      const fault = plans.get(request)?.shift()
      if (fault !== undefined) faults[fault]++
      return fault
    }
  }
}

type Plan = ReturnType<typeof makePlan>

const body = Buffer.alloc(1024, "x")

/** What went wrong with a request; undefined: nothing. Every other one has a body. */
const ask = (agent: Http.Agent, port: number, number: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const sent = number % 2 === 0 ? body : undefined
    const request = Http.request(
      {
        agent,
        host: "127.0.0.1",
        port,
        path: `/${number}`,
        method: sent === undefined ? "GET" : "POST",
        headers: {
          "x-number": number,
          ...(sent === undefined ? {} : { "content-length": sent.length })
        }
      },
      (response) => {
        let text = ""
        response.on("data", (chunk: Buffer) => text += chunk.toString())
        response.on("error", ({ message }) => resolve(`cut: ${message}`))
        response.on("end", () =>
          resolve(
            response.statusCode === 200 && text === String(sent?.length ?? 0)
              ? undefined
              : `${response.statusCode} ${text}`
          ))
      }
    )
    request.on("error", ({ message }) => resolve(message))
    request.end(sent)
  })

/** Sends them, and calls `sent` before each. */
const load = async (
  port: number,
  plan: Plan,
  { concurrency, requests }: Pick<Options, "concurrency" | "requests">,
  sent: (count: number) => void
): Promise<Omit<Ran, "faults" | "kills" | "refused">> => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: concurrency })
  const failures: Array<Failure> = []
  const latencies: Array<number> = []
  const retried: Array<number> = []
  let number = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (number < requests) {
      const request = ++number
      plan.add(request)
      sent(request)
      const since = performance.now()
      const what = await ask(agent, port, request)
      latencies.push(performance.now() - since)
      const attempts = plan.attempts(request)
      if (attempts > 1) retried.push(latencies.at(-1)!)
      if (what !== undefined) failures.push({ request, what, attempts })
    }
  }))
  agent.destroy()
  return { sent: number, failures, latencies, retried }
}

type Mesh = Effect.Success<ReturnType<typeof SidecarMesh.make>>

/** Kills one instance and brings it back, again and again, the second time with its sidecar. */
const makeKiller = (mesh: Mesh, apps: ReadonlyArray<Application.Application>, seed: number) => {
  const random = Rules.random(seed)
  const sidecars = [...mesh.api]
  let kills = 0
  let back: (() => Promise<void>) | undefined
  let turn = Promise.resolve()
  const kill = async () => {
    const index = Math.floor(random() * apps.length)
    const app = apps[index]!
    const withSidecar = ++kills % 2 === 0
    if (withSidecar) await Effect.runPromise(sidecars[index]!.stop)
    await app.kill()
    back = async () => {
      await app.restart()
      if (withSidecar) sidecars[index] = await Effect.runPromise(quietly(mesh.start(`api-${index + 1}`)))
    }
  }
  const step = async () => {
    const bring = back
    back = undefined
    await (bring === undefined ? kill() : bring())
  }
  return {
    kills: () => kills,
    next: () => {
      turn = turn.then(step)
    },
    done: async () => {
      await turn
      await back?.()
    }
  }
}

/** What this process has counted so far. */
const refused = async (): Promise<number> => {
  const samples = await Effect.runPromise(Scrape.samples)
  return Object.entries(samples).reduce(
    (sum, [name, value]) => name.startsWith("mesh_http_retries_refused_total") ? sum + value : sum,
    0
  )
}

const quietly = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => Effect.provide(effect, Logger.layer([]))

export const run = async (options: Options): Promise<Result> => {
  const scope = await Effect.runPromise(Scope.make())
  const plan = makePlan(options.seed)
  const apps = await Promise.all(Array.from({ length: 3 }, () => Application.start(plan.next)))
  try {
    const mesh = await Effect.runPromise(quietly(
      SidecarMesh.make({
        apps: apps.map(({ port }) => port),
        protocol: "http",
        entries: [router],
        drain: 0
      }).pipe(Scope.provide(scope))
    ))
    const counts = () => ({ ...plan.faults })
    const quiet = await load(mesh.port, plan, { ...options, requests: Math.floor(options.requests / 5) }, () => {})
    plan.calm(false)
    const before = await refused()
    const killer = makeKiller(mesh, apps, options.seed + 1)
    const chaos = await load(mesh.port, plan, options, (count) => {
      if (count % options.every === 0) killer.next()
    })
    await killer.done()
    return {
      quiet: { ...quiet, faults: { "503": 0, reset: 0, delay: 0 }, kills: 0, refused: before },
      chaos: { ...chaos, faults: counts(), kills: killer.kills(), refused: (await refused()) - before }
    }
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await Promise.all(apps.map(({ kill }) => kill()))
  }
}

export const full: Options = { requests: 10_000, concurrency: 32, seed: 7, every: 250 }

export const format = ({ chaos, quiet }: Result): string => {
  const ms = (values: ReadonlyArray<number>, share: number): string =>
    values.length === 0 ? "-" : Processes.quantile(values, share).toFixed(1)
  const row = (what: string, { failures, latencies, sent }: Pick<Ran, "failures" | "latencies" | "sent">) => [
    what,
    String(sent),
    String(failures.length),
    ms(latencies, 0.5),
    ms(latencies, 0.99),
    ms(latencies, 1)
  ]
  const lines = table([
    ["", "sent", "failed", "p50 ms", "p99 ms", "most"],
    row("at rest", quiet),
    row("in trouble", chaos),
    row("those tried again", { latencies: chaos.retried, sent: chaos.retried.length, failures: [] })
  ])
  const { delay, reset } = chaos.faults
  const why = new Map<string, number>()
  for (const { attempts, what } of chaos.failures) {
    const line = `after ${attempts} attempts: ${what}`
    why.set(line, (why.get(line) ?? 0) + 1)
  }
  return [
    lines,
    "",
    `${chaos.faults["503"]} answers of 503, ${reset} resets, ${delay} delays; ${chaos.kills} times an instance died.`,
    `${chaos.refused} times a request was not tried again, as too many were: what failed beyond that should not have.`,
    ...Array.from(why, ([line, count]) => `${count} ${line}`)
  ].join("\n")
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${format(await run(full))}\n`)
}
