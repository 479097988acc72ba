/** Plays scenarios through a mesh, and says what clients, applications and logs saw in the form of the recordings. */
import { Effect, type Schema } from "effect"
import type * as Agent from "./Agent.ts"
import * as Client from "./Client.ts"
import * as Entries from "./Entries.ts"
import * as Json from "./Json.ts"
import type * as Logs from "./Logs.ts"
import * as Mesh from "./Mesh.ts"
import * as Normalise from "./Normalise.ts"
import type * as Recording from "./Recording.ts"

export interface Stage {
  readonly mesh: Mesh.Mesh
  readonly logs: Logs.Logs
}

/** What was seen of each request, in order. */
export const play = (
  stage: Stage,
  scenario: Recording.Scenario,
  patient: boolean
): Effect.Effect<ReadonlyArray<Schema.JsonObject>, Agent.AgentRefused> =>
  Effect.gen(function*() {
    const { logs, mesh } = stage
    if (ejects(scenario) && (yield* mesh.entries.become(mesh.topology.config))) yield* mesh.sidecars.settled(patient)
    const entries = Entries.merged(mesh.topology.config, (scenario.config ?? []).map(mesh.topology.renumber))
    const configured = yield* mesh.entries.become(entries.map(logs.redirected))
    const healthy = yield* Mesh.setHealth(mesh, scenario.health ?? {})
    if (configured || healthy) yield* mesh.sidecars.settled(patient)
    const seen: Array<Schema.JsonObject> = []
    for (const request of scenario.requests) {
      seen.push(yield* Effect.promise(() => playRequest(stage, request)))
      yield* Effect.sleep(request.thenMs ?? 0)
    }
    return seen
  })

/** Whether it has settings for ejection. With those of the scenario before it, instances that were ejected there would still be. */
const ejects = ({ config }: Recording.Scenario): boolean => JSON.stringify(config ?? []).includes("PassiveHealthCheck")

const playRequest = async (stage: Stage, request: Recording.Request): Promise<Schema.JsonObject> => {
  const { mesh } = stage
  mesh.applications.forget()
  stage.logs.forget()
  const result = Json.plain(await resultOf(stage, request))
  const names = { trustDomain: mesh.trustDomain, ports: mesh.topology.names }
  const whole = { ...result, ...(await logged(stage, request)) }
  const text = JSON.stringify(whole)
  const told = Normalise.value(
    Json.plain(JSON.parse(request.anyInstance === true ? Normalise.anyInstance(text, request.to) : text)),
    names
  )
  return Json.plain(told)
}

const resultOf = (stage: Stage, request: Recording.Request): Promise<unknown> =>
  request.parallel !== undefined
    ? parallel(stage, request, request.parallel)
    : request.affinity !== undefined
    ? affinity(stage, request, request.affinity)
    : request.acrossKeys !== undefined
    ? acrossKeys(stage, request, request.acrossKeys)
    : request.repeat !== undefined
    ? repeated(stage, request, request.repeat)
    : single(stage, request)

const send = ({ mesh: { topology } }: Stage, request: Recording.Request): Promise<Client.Exchange> =>
  Client.play(request.to === "exposed" ? topology.exposed : topology.upstreams[request.to] ?? 0, request)

/** Between the starts of requests that are sent at once. */
const gap = 30

const parallel = async (stage: Stage, request: Recording.Request, times: number) => {
  const sent: Array<Promise<Client.Exchange>> = []
  for (let i = 0; i < times; i++) {
    sent.push(send(stage, request))
    await sleep(gap)
  }
  const exchanges = await Promise.all(sent)
  const failure = exchanges.map(({ responses }) => responses[0]).find((it) => it !== undefined && it.status >= 400)
  return { counts: counted(exchanges.map(answererOf)), failure }
}

const answerers = async (stage: Stage, request: Recording.Request, times: number) => {
  const list: Array<string> = []
  for (let i = 0; i < times; i++) list.push(answererOf(await send(stage, { ...request, lingerMs: 0 })))
  return list
}

const affinity = async (stage: Stage, request: Recording.Request, keys: ReadonlyArray<string>) => {
  const same: Array<boolean> = []
  for (const key of keys) {
    same.push(new Set(await answerers(stage, filled(request, key), request.repeat ?? 6)).size === 1)
  }
  return { sameInstanceForEachKey: same }
}

const acrossKeys = async (stage: Stage, request: Recording.Request, keys: ReadonlyArray<string>) => {
  const list: Array<string> = []
  for (const key of keys) list.push(...await answerers(stage, filled(request, key), 1))
  return { oneInstanceForAllKeys: new Set(list).size === 1 }
}

const repeated = async (stage: Stage, request: Recording.Request, times: number) => {
  const list = await answerers(stage, request, times)
  if (request.sequence === true) return { sequence: list }
  return request.distinct === true ? { distinctInstances: new Set(list).size } : { counts: counted(list) }
}

/** How long after an answer something may still arrive at an application. */
const late = 40

const single = async (stage: Stage, request: Recording.Request) => {
  const { responses, ...rest } = await send(stage, request)
  const isInterim = ({ status }: { readonly status: number }) => status < 200 && status !== 101
  const [response, ...further] = responses.filter((it) => !isInterim(it))
  const informational = responses.filter(isInterim)
  await sleep(late)
  return {
    ...(informational.length > 0 ? { informational } : {}),
    response: response ?? null,
    ...(further.length > 0 ? { further } : {}),
    ...rest,
    seen: stage.mesh.applications.seen()
  }
}

/** The same request for a key. */
const filled = (request: Recording.Request, key: string): Recording.Request =>
  JSON.parse(JSON.stringify(request).replaceAll("KEY", key))

/** Who answered, and how unless well: `pool-1`, `pool-1 500`, or `status 503` where no application did. */
const answererOf = ({ responses }: Client.Exchange): string => {
  const last = responses.at(-1)
  const instance = /"instance":"([\w-]+)"/.exec(last?.body ?? "")?.[1]
  return instance === undefined
    ? `status ${last?.status ?? "none"}`
    : last?.status === 200
    ? instance
    : `${instance} ${last?.status}`
}

const counted = (list: ReadonlyArray<string>): Readonly<Record<string, number>> =>
  Object.fromEntries([...Map.groupBy(list, (name) => name)].map(([name, all]) => [name, all.length]))

/** The log lines of the sidecars that the request asks about, once they are there. */
const logged = async ({ logs, mesh }: Stage, request: Recording.Request) => {
  if (request.accessLog === undefined) return {}
  const { topology, trustDomain } = mesh
  const portsOf = (id: string) =>
    new Set(
      topology.instances.filter((it) => it.id === id).map(({ sidecar }) => sidecar)
        .concat(id === "web" ? Object.values(topology.upstreams) : [])
    )
  const now = () => Object.fromEntries((request.accessLog ?? []).map((id) => [id, logs.of(portsOf(id))]))
  const recorded = request.expect["accessLog"]
  const isThere = () =>
    Json.isObject(recorded) &&
    Object.entries(now()).every(([id, lines]) => lines.length >= Object.values(recorded[id] ?? []).length)
  for (let waited = 0; waited < logsWithin && !isThere(); waited += 20) await sleep(20)
  const lines = Object.entries(now()).map(([id, lines]) => [
    id,
    lines.map((line) => Normalise.logLine(line, { trustDomain, ports: topology.names }))
  ])
  return { accessLog: Object.fromEntries(lines) }
}

/** Lines may be written a while after the answer. */
const logsWithin = 1200

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
