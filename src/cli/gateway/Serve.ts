/** Runs the gateway that the options name or describe, until it is interrupted, fails or has left. */
import { Effect, Layer, Option, Result, type Scope } from "effect"
import * as Fleet from "../../admin/Fleet.ts"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as ApiGateway from "../../gateway/ApiGateway.ts"
import type * as Gateway from "../../gateway/Gateway.ts"
import * as MeshGateway from "../../gateway/MeshGateway.ts"
import * as TerminatingGateway from "../../gateway/TerminatingGateway.ts"
import * as Audit from "../../intention/Audit.ts"
import type * as LogThreshold from "../../observe/LogThreshold.ts"
import * as OpenFiles from "../../sidecar/OpenFiles.ts"
import * as GatewayRegistration from "../../watch/GatewayRegistration.ts"
import * as WorkerShare from "../../watch/registration/WorkerShare.ts"
import * as Watched from "../../watch/Watched.ts"
import * as Log from "../Log.ts"
import * as AccessLogFlags from "../proxy/AccessLogFlags.ts"
import * as Admin from "../proxy/Admin.ts"
import * as MarksFlags from "../proxy/MarksFlags.ts"
import type * as Registered from "../proxy/Registered.ts"
import * as Worker from "../workers/Worker.ts"
import type * as Flags from "./Flags.ts"
import * as GatewayRegistered from "./Registered.ts"

type Failure =
  | Registered.Failure
  | Gateway.Failure
  | Gateway.GatewayFailed
  | Effect.Error<ReturnType<typeof Admin.open>>

/** Whether the options name or describe a gateway. */
export const check = (options: Flags.Options) =>
  Effect.fromResult(
    Result.flatMap(GatewayRegistered.kindOf(options), (kind) => GatewayRegistered.described(kind, options))
  )

/** What goes wrong at its start, or with it as a whole, ends the program. */
export const serve = Effect.fn(function*(
  options: Flags.Options
): Effect.fn.Return<void, Failure, ConsulClient.ConsulClient | LogThreshold.LogThreshold | Scope.Scope> {
  yield* OpenFiles.warnIfFew()
  const kind = yield* Effect.fromResult(GatewayRegistered.kindOf(options))
  const described = yield* Effect.fromResult(GatewayRegistered.described(kind, options))
  const fleet = Fleet.single()
  yield* Admin.open(options, fleet)
  const start = Effect.gen(function*() {
    const source = described === undefined
      ? GatewayRegistration.layer({ kind, proxyId: yield* GatewayRegistered.find(kind, options) })
      : GatewayRegistration.layerDescribed(described.registration)
    const make: Effect.Effect<
      Gateway.Gateway,
      Gateway.Failure,
      GatewayRegistration.GatewayRegistration | ConsulClient.ConsulClient | Scope.Scope
    > = kind === "mesh-gateway"
      ? MeshGateway.make(settings(options))
      : kind === "api-gateway"
      ? ApiGateway.make(settings(options))
      : TerminatingGateway.make(settings(options))
    return yield* Effect.provide(make, shared(source))
  })
  const gateway = yield* fleet.start(kind, start)
  if (Worker.isFirst) {
    if (described !== undefined) yield* GatewayRegistered.keep(described)
    yield* Log.announce(options, describe(gateway.status()), keys(gateway.status()))
  }
  yield* Worker.sayAccepting
  yield* Effect.raceFirst(gateway.failed, gateway.left)
})

/** One of several workers takes on its part. */
const shared = <R>(
  source: Layer.Layer<GatewayRegistration.GatewayRegistration, never, R>
): Layer.Layer<GatewayRegistration.GatewayRegistration, never, R> => {
  const worker = Worker.current
  return worker === undefined ? source : Layer.effect(
    GatewayRegistration.GatewayRegistration,
    Effect.map(
      GatewayRegistration.GatewayRegistration,
      (watched) => Watched.map(watched, watched.what, (registration) => WorkerShare.ofListener(registration, worker))
    )
  ).pipe(Layer.provide(source))
}

const settings = (options: Flags.Options): TerminatingGateway.Options => ({
  readyWithin: `${options.startTimeout} seconds`,
  accessLog: AccessLogFlags.choice(options),
  shutdownDelay: options.shutdownDelay,
  drain: options.drainTimeout,
  spiffe: options.spiffe,
  marks: MarksFlags.marks(options),
  audit: options.audit ? Audit.everywhere : Audit.nowhere,
  ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
})

/** What it is and where it listens, a line for each. */
const describe = ({ listeners, registration: { kind, proxyId } }: Gateway.Status): string =>
  [`${proxyId} is a ${kind}`, ...listeners.map(({ address, name }) => `  ${name} → ${address}`)].join("\n")

/** The same as keys of a log entry. */
const keys = ({ listeners, registration: { kind, proxyId } }: Gateway.Status): Readonly<Record<string, unknown>> => ({
  gateway: proxyId,
  kind,
  listeners: listeners.map(({ address, name }) => ({ name, address }))
})
