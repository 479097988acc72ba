/**
 * A running mesh: agent, registrations, applications and sidecars, all owned by one scope. It closes in the reverse
 * order: sidecars drain, applications end, registrations go, the agent stops.
 */
import { Config, Effect, Exit, Option, Schedule, Schema, Scope } from "effect"
import * as DevelopmentAgent from "../../agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as Credentials from "../../consul/Credentials.ts"
import * as Settings from "../../consul/Settings.ts"
import * as Audit from "../../intention/Audit.ts"
import * as ConsulSidecar from "../../sidecar/ConsulSidecar.ts"
import * as Applications from "./Applications.ts"
import * as EnvoySidecar from "./EnvoySidecar.ts"
import * as Definitions from "./Definitions.ts"
import type * as Matrix from "./Matrix.ts"
import * as MeshFile from "./MeshFile.ts"

export interface Options {
  readonly files: ReadonlyArray<string>
  /**
   * Wins over the environment. With an address in either, that agent is used and no other is started. Absent: the
   * environment does not count, and a development agent is started.
   */
  readonly consul?: Partial<Settings.Settings> | undefined
  /** Of the development agent; 0: any free one. */
  readonly agentPort: number
  /** Names under which the development agent may be asked. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Lets the checks of the development agent run programs. */
  readonly enableScriptChecks?: boolean | undefined
  /** Services at which nothing is enforced, and refusals are only recorded. */
  readonly audit?: ReadonlyArray<string> | undefined
  /** The Envoy to run where the file asks for one. Default: `envoy`. */
  readonly envoyBinary?: string | undefined
  /** Of the leaves of the development agent. Default: 72 hours. */
  readonly leafTtl?: DevelopmentAgent.Options["leafTtl"]
}

export interface RunningSidecar extends Matrix.Destination {
  readonly sidecar: ConsulSidecar.ConsulSidecar
}

export interface Mesh {
  readonly address: string
  readonly consul: ConsulClient.ConsulClient["Service"]
  /** The development agent, if one was started. Stopping it leaves everything else running. */
  readonly agent:
    | { readonly running: DevelopmentAgent.DevelopmentAgent; readonly stop: Effect.Effect<void> }
    | undefined
  readonly sidecars: ReadonlyArray<RunningSidecar>
  /** The services whose sidecars are Envoys. */
  readonly envoys: ReadonlyArray<string>
  /** Fails when an application ends, or an Envoy. */
  readonly ended: Effect.Effect<never, Applications.ApplicationFailed | EnvoySidecar.EnvoyEnded>
}

/** The agent refused a part of the file. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { what: Schema.String, why: Schema.String }) {
  override readonly message = `${this.what}: ${this.why}`
}

export const make = Effect.fn("Mesh.make")(function*(options: Options) {
  const file = yield* MeshFile.load(options.files)
  yield* Effect.forEach(file.notes, (note) => Effect.logWarning(note))
  const definitions = yield* Effect.fromResult(Definitions.read(file, options.files.join(", ")))

  const given = options.consul === undefined ? undefined : yield* givenAgent(options.consul)
  const withEnvoys = definitions.services.some((service) => definitions.proxyOf(service) === "envoy")
  const agent = given === undefined ? yield* startAgent(options, file, withEnvoys) : undefined
  const settings = given ?? { ...Settings.defaults, address: agent!.running.address }
  const consul = yield* ConsulClient.make(settings)

  for (const entry of definitions.configEntries) yield* write(consul, entry)
  for (const service of definitions.services) yield* register(consul, service, agent !== undefined)

  // They end together: a slow one does not delay the next.
  const together = yield* Scope.make("parallel")
  yield* Effect.addFinalizer((exit) => Scope.close(together, exit))
  const programs: Array<Effect.Effect<never, Applications.ApplicationFailed | EnvoySidecar.EnvoyEnded>> = []
  for (const application of definitions.applications) {
    const name = application.application.service
    const { ended } = yield* Applications.start(
      application.application,
      { ...application.env, CONSUL_HTTP_ADDR: consul.address },
      (line) => Effect.annotateLogs(Effect.logInfo(line), { mesh: name })
    ).pipe(Scope.provide(together))
    programs.push(ended)
  }

  const sidecars: Array<RunningSidecar> = []
  const envoys: Array<string> = []
  for (const service of definitions.services) {
    const proxyId = Definitions.proxyId(service)
    if (proxyId === undefined) continue
    if (definitions.proxyOf(service) === "envoy") {
      const { ended, service: name } = yield* EnvoySidecar.start({
        consul,
        proxyId,
        token: (yield* (yield* Credentials.make(settings)).headers)["x-consul-token"] ?? "",
        binary: options.envoyBinary ?? "envoy"
      }).pipe(Scope.provide(together))
      programs.push(ended)
      envoys.push(name)
      continue
    }
    const sidecar = yield* ConsulSidecar.make({
      proxyId,
      drain: "1 second",
      audit: Audit.destinations(options.audit ?? [])
    }).pipe(
      Effect.provideService(ConsulClient.ConsulClient, consul),
      Effect.annotateLogs({ mesh: proxyId })
    )
    sidecars.push({
      identity: sidecar.material().leaf.identity,
      authorizer: sidecar.authorizer,
      sidecar
    })
  }
  yield* Effect.forEach(
    [...sidecars.map(({ identity }) => identity.service), ...envoys],
    (service) => reachable(consul, service),
    { concurrency: "unbounded", discard: true }
  )
  const ended = programs.length === 0 ? Effect.never : Effect.raceAllFirst(programs)
  const mesh: Mesh = { address: consul.address, consul, agent, sidecars, envoys, ended }
  return mesh
})

/** To an agent a new instance is unhealthy until its checks have passed, seconds after it listens. */
const reachable = (consul: ConsulClient.ConsulClient["Service"], service: string) =>
  consul.call("GET /v1/health/connect", (api) => api.health.connect({ params: { service }, query: { passing: true } }))
    .pipe(
      Effect.filterOrFail(({ body }) => body.length > 0, () => "none yet" as const),
      Effect.retry(Schedule.max([Schedule.spaced("100 millis"), Schedule.during("20 seconds")])),
      Effect.asVoid,
      Effect.catch(() =>
        Effect.logWarning(
          `${service} has no instance whose checks pass: it cannot be called until one has. See ` +
            `${consul.address}/v1/health/connect/${service}`
        )
      )
    )

/** The agent that the options or the environment name, if they do. */
const givenAgent = Effect.fnUntraced(function*(options: Partial<Settings.Settings>) {
  const named = yield* Config.option(Config.String("CONSUL_HTTP_ADDR"))
  return options.address === undefined && (Option.getOrUndefined(named) ?? "") === ""
    ? undefined
    : yield* Settings.fromEnvironment(options)
})

const startAgent = Effect.fnUntraced(function*(options: Options, file: MeshFile.MeshFile, withEnvoys: boolean) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const running = yield* DevelopmentAgent.make({
    port: options.agentPort,
    ...(withEnvoys && { grpcPort: 0 }),
    ...(options.enableScriptChecks === undefined ? {} : { enableScriptChecks: options.enableScriptChecks }),
    ...(options.allowedHosts === undefined ? {} : { allowedHosts: options.allowedHosts }),
    ...(file.datacenter === undefined ? {} : { datacenter: file.datacenter }),
    ...(file.nodeName === undefined ? {} : { nodeName: file.nodeName }),
    ...(file.defaultIntentionPolicy === undefined ? {} : { defaultIntentionPolicy: file.defaultIntentionPolicy }),
    ...(options.leafTtl === undefined ? {} : { leafTtl: options.leafTtl })
  }).pipe(Scope.provide(scope))
  return { running, stop: Scope.close(scope, Exit.void) }
})

const write = (consul: ConsulClient.ConsulClient["Service"], entry: Definitions.Entry) =>
  consul.call("PUT /v1/config", (api) => api.config.write({ query: {}, payload: entry })).pipe(
    Effect.mapError((error) => new Refused({ what: `the ${entry.Kind} ${entry.Name}`, why: error.message }))
  )

/** Registers, and takes it back when the scope closes, where the agent is still there. */
const register = (consul: ConsulClient.ConsulClient["Service"], service: Definitions.Service, ours: boolean) =>
  Effect.acquireRelease(
    consul.call(
      "PUT /v1/agent/service/register",
      (api) => api.agent.registerService({ query: {}, payload: service })
    ).pipe(
      Effect.mapError((error) => new Refused({ what: `the service ${service.Name}`, why: reasonOf(error, ours) }))
    ),
    () =>
      consul.call(
        "PUT /v1/agent/service/deregister",
        (api) => api.agent.deregisterService({ params: { id: Definitions.id(service) }, query: {} }),
        "2 seconds"
      ).pipe(Effect.ignore)
  )

/** The agent's own words name a setting that only a real one has. */
const reasonOf = (error: ConsulError.ConsulError, ours: boolean): string =>
  ours && error.message.includes("Scripts are disabled")
    ? "it has a script check, and checks run no programs here. Start `up` with --enable-script-checks to let them, or " +
      "check by HTTP, gRPC, TCP or TTL"
    : error.message
