/**
 * Traces, metrics and logs to a collector, as the variables of OpenTelemetry say: off unless one of them names an endpoint.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { ConfigProvider, Context, Effect, Layer, Logger, Result, type Scope } from "effect"
import { version } from "../version.ts"
import * as Worker from "../workers/Worker.ts"
import { UsageError } from "./Registered.ts"
import type { Environment } from "./Sources.ts"

export interface Telemetry {
  readonly loggers: ReadonlyArray<Logger.Logger<unknown, unknown>>
  /** With what collects spans. */
  readonly context: Context.Context<never>
}

export const none: Telemetry = { loggers: [], context: Context.empty() }

const signals = ["TRACES", "METRICS", "LOGS"] as const

type Signal = (typeof signals)[number]

interface Settings {
  /** Where each goes that is exported, without user and password. */
  readonly endpoints: ReadonlyArray<readonly [signal: Signal, endpoint: string]>
  readonly json: boolean
  /** What is named and not understood. */
  readonly ignored: ReadonlyArray<string>
  /** For Effect's exporters. */
  readonly variables: Readonly<Record<string, string>>
}

const serviceName = "effect-mesh"

/** Undefined: nothing is to be exported. Fails with what is wrong, for people. */
export const read = (environment: Environment): Result.Result<Settings | undefined, string> =>
  Result.gen(function*() {
    const given: Record<string, string> = {}
    for (const [name, value = ""] of Object.entries(environment)) {
      // An empty variable is as good as none.
      if (name.startsWith("OTEL_") && value.trim() !== "") given[name] = value.trim()
    }
    if (given["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined
    const endpoints: Array<readonly [Signal, string]> = []
    const variables: Record<string, string> = { ...given }
    for (const signal of signals) {
      const name = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`
      const [from, text] = given[name] === undefined
        ? ["OTEL_EXPORTER_OTLP_ENDPOINT", given["OTEL_EXPORTER_OTLP_ENDPOINT"]]
        : [name, given[name]]
      const exporter = `OTEL_${signal}_EXPORTER`
      if (text === undefined || !["otlp", undefined].includes(given[exporter]?.toLowerCase())) continue
      if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
        return yield* Result.fail(`${from} is ${JSON.stringify(text)}: write http://HOST:PORT or https://HOST:PORT`)
      }
      const { origin, pathname } = new URL(text)
      endpoints.push([signal, `${origin}${pathname}`])
      variables[exporter] = "otlp"
    }
    if (endpoints.length === 0) return undefined
    const protocol = given["OTEL_EXPORTER_OTLP_PROTOCOL"] ?? "http/protobuf"
    if (protocol !== "http/protobuf" && protocol !== "http/json") {
      return yield* Result.fail(
        `OTEL_EXPORTER_OTLP_PROTOCOL is ${
          JSON.stringify(protocol)
        }: write http/protobuf or http/json. Collectors take these ` +
          "at port 4318, and gRPC at 4317"
      )
    }
    const isNamed = given["OTEL_SERVICE_NAME"] !== undefined ||
      /(^|,)\s*service\.name\s*=/.test(given["OTEL_RESOURCE_ATTRIBUTES"] ?? "")
    if (!isNamed) variables["OTEL_SERVICE_NAME"] = serviceName
    return { endpoints, json: protocol === "http/json", ignored: unknown(given), variables }
  })

/** Of the specification, and meaning nothing here. */
const unknown = (given: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.keys(given).filter((name) =>
    /^OTEL_(TRACES_SAMPLER|PROPAGATORS|SPAN_|LOG_LEVEL|ATTRIBUTE_|METRICS_EXEMPLAR|EXPORTER_OTLP_.*(CERTIFICATE|CLIENT_KEY|_PROTOCOL))/
      .test(name)
  )

/** Exports until the scope closes, and then what has not gone out yet. */
export const open = (environment: Environment): Effect.Effect<Telemetry, UsageError, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* Effect.mapError(Effect.fromResult(read(environment)), (why) => new UsageError({ why }))
    if (settings === undefined) return none
    // Loaded here, so that a sidecar without them does not carry them around.
    const { Otlp, OtlpSerialization } = yield* Effect.promise(() => import("effect/observability"))
    const built = yield* Layer.build(
      Otlp.layerFromConfig({
        // Of this program, whatever the one that started it is called.
        resource: {
          serviceVersion: version,
          attributes: Worker.current === undefined ? {} : { "effect_mesh.worker": Worker.current.index }
        },
        loggerMergeWithExisting: false
      }).pipe(
        Layer.provide([
          settings.json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf,
          NodeHttpClient.layerUndici
        ]),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: settings.variables })))
      )
    ).pipe(
      Effect.catchDefect((defect) =>
        Effect.fail(new UsageError({ why: `a variable OTEL_* can not be used: ${String(defect)}` }))
      )
    )
    for (const [signal, endpoint] of settings.endpoints) {
      yield* Effect.logInfo(`${signal.toLowerCase()} go to ${endpoint}`)
    }
    if (settings.ignored.length > 0) {
      yield* Effect.logWarning(`not supported, and ignored: ${settings.ignored.join(", ")}`)
    }
    const loggers = settings.endpoints.some(([signal]) => signal === "LOGS")
      ? Context.get(built, Logger.CurrentLoggers)
      : []
    return { loggers: [...loggers], context: built }
  })
