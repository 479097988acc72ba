/** What a check is and how it is run, from its registration (`agent/structs/check_type.go`). */
import { Duration, Result } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as AgentService from "../consul/AgentService.ts"
import * as GoDuration from "../consul/GoDuration.ts"

export type Run =
  | { readonly _tag: "Ttl"; readonly ttl: Duration.Duration }
  | { readonly _tag: "Tcp"; readonly address: string; readonly tls: boolean; readonly period: Period }
  | {
    readonly _tag: "Http"
    readonly url: string
    readonly method: string
    readonly headers: { readonly [name: string]: ReadonlyArray<string> }
    readonly body: string
    readonly followRedirects: boolean
    readonly serverName: string
    readonly verify: boolean
    readonly maximumOutput: number
    readonly period: Period
  }
  | {
    readonly _tag: "Script"
    readonly args: ReadonlyArray<string>
    readonly maximumOutput: number
    readonly period: Period
  }
  | (Http2 & { readonly _tag: "Grpc"; readonly service: string })
  | (Http2 & { readonly _tag: "H2ping" })
  | { readonly _tag: "Alias"; readonly node: string; readonly service: string }
  /** Changed by an operator only. */
  | { readonly _tag: "Manual" }

interface Http2 {
  readonly address: string
  readonly tls: boolean
  readonly serverName: string
  readonly verify: boolean
  readonly period: Period
}

export interface Period {
  readonly interval: Duration.Duration
  readonly timeout: Duration.Duration
}

export interface CheckDefinition {
  readonly id: string
  readonly name: string
  readonly notes: string
  readonly status: "passing" | "warning" | "critical"
  /** Empty for a check of the node. */
  readonly serviceId: string
  readonly type: string
  readonly run: Run
  /** In a row, before the status follows. */
  readonly successesBeforePassing: number
  readonly failuresBeforeWarning: number
  readonly failuresBeforeCritical: number
  /** Undefined: its service stays, however long it is critical. */
  readonly deregisterAfter: Duration.Duration | undefined
  /** As written. */
  readonly interval: string
  readonly timeout: string
}

/** `id` is the default. `scripts`: whether the agent may run programs. */
export const make = (
  check: AgentService.ServiceCheck | AgentService.CheckRegistration,
  defaults: { readonly id: string; readonly name: string; readonly serviceId: string; readonly scripts: boolean }
): Result.Result<CheckDefinition, ApiError.BadRequest | ApiError.InternalError> =>
  Result.gen(function*() {
    const invalid = (text: string) => Result.fail(new ApiError.BadRequest({ body: `Invalid check: ${text}` }))
    const status = check.Status === undefined || check.Status === "" ? "critical" : check.Status
    if (status !== "passing" && status !== "warning" && status !== "critical") {
      return yield* Result.fail(
        new ApiError.BadRequest({ body: "Status for checks must 'passing', 'warning', 'critical'" })
      )
    }
    const ttl = yield* duration(check.TTL)
    const interval = yield* duration(check.Interval)
    const timeout = yield* duration(check.Timeout)
    const deregister = yield* duration(check.DeregisterCriticalServiceAfter)
    const alias = isSet(check.AliasNode) || isSet(check.AliasService)
    const script = check.Args ?? check.ScriptArgs ?? []
    const periodic = [
      check.HTTP,
      check.TCP,
      check.UDP,
      check.GRPC,
      check.H2PING,
      check.OSService
    ].filter(isSet).length + (script.length > 0 ? 1 : 0)
    const warning = check.FailuresBeforeWarning ?? 0
    const critical = check.FailuresBeforeCritical ?? 0
    const hasTtl = isSet(check.TTL) && !Duration.isZero(ttl)
    const hasInterval = isSet(check.Interval) && !Duration.isZero(interval)
    if (hasInterval && hasTtl) return yield* invalid("Interval and TTL cannot both be specified")
    if (alias && (hasInterval || hasTtl)) return yield* invalid("Interval and TTL cannot be set for alias checks")
    if (periodic > 0 && !positive(interval)) {
      return yield* invalid("Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
    }
    if (periodic === 0 && !alias && !positive(ttl)) return yield* invalid("TTL must be > 0 for TTL checks")
    if ((check.OutputMaxSize ?? 0) < 0) return yield* invalid("MaxOutputMaxSize must be positive")
    if (critical > 0 && warning > critical) {
      return yield* invalid("FailuresBeforeWarning can't be higher than FailuresBeforeCritical")
    }
    if (script.length > 0 && !defaults.scripts) {
      return yield* Result.fail(
        new ApiError.InternalError({
          body:
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
        })
      )
    }
    const period = {
      interval,
      timeout: positive(timeout) ? timeout : Duration.seconds(script.length > 0 ? 30 : 10)
    }
    const run = yield* running(check, period, ttl)
    return {
      id: first(check.ID, "CheckID" in check ? check.CheckID : undefined) ?? defaults.id,
      name: first(check.Name) ?? defaults.name,
      notes: check.Notes ?? "",
      status: run._tag === "Alias" && !isSet(check.Status) ? "critical" : status,
      serviceId: defaults.serviceId,
      type: run._tag.toLowerCase(),
      run,
      successesBeforePassing: check.SuccessBeforePassing ?? 0,
      failuresBeforeWarning: warning > 0 ? warning : critical,
      failuresBeforeCritical: critical,
      deregisterAfter: positive(deregister)
        ? Duration.max(deregister, Duration.minutes(1))
        : undefined,
      interval: hasInterval ? GoDuration.format(interval) : "",
      timeout: isSet(check.Timeout) ? GoDuration.format(timeout) : ""
    }
  })

const outputOf = ({ OutputMaxSize = 0 }: AgentService.ServiceCheck): number =>
  OutputMaxSize === 0 ? 4096 : OutputMaxSize

const running = (
  check: AgentService.ServiceCheck,
  period: Period,
  ttl: Duration.Duration
): Result.Result<Run, ApiError.BadRequest> => {
  if (isSet(check.HTTP)) {
    return Result.succeed({
      _tag: "Http",
      url: check.HTTP,
      method: first(check.Method) ?? "GET",
      headers: check.Header ?? {},
      body: check.Body ?? "",
      followRedirects: check.DisableRedirects !== true,
      serverName: check.TLSServerName ?? "",
      verify: check.TLSSkipVerify !== true,
      maximumOutput: outputOf(check),
      period
    })
  }
  if (isSet(check.TCP)) {
    return Result.succeed({ _tag: "Tcp", address: check.TCP, tls: check.TCPUseTLS === true, period })
  }
  const args = check.Args ?? check.ScriptArgs ?? []
  if (args.length > 0 && !isSet(check.DockerContainerID)) {
    return Result.succeed({ _tag: "Script", args, maximumOutput: outputOf(check), period })
  }
  const http2 = { serverName: check.TLSServerName ?? "", verify: check.TLSSkipVerify !== true, period }
  if (isSet(check.GRPC)) {
    const [address = "", service = ""] = check.GRPC.split("/", 2)
    return Result.succeed({ ...http2, _tag: "Grpc", address, service, tls: check.GRPCUseTLS === true })
  }
  if (isSet(check.H2PING)) {
    return Result.succeed({ ...http2, _tag: "H2ping", address: check.H2PING, tls: check.H2PingUseTLS !== false })
  }
  if (isSet(check.AliasNode) || isSet(check.AliasService)) {
    return Result.succeed({ _tag: "Alias", node: check.AliasNode ?? "", service: check.AliasService ?? "" })
  }
  const unsupported = args.length > 0
    ? "Docker"
    : isSet(check.UDP)
    ? "UDP"
    : isSet(check.OSService)
    ? "OSService"
    : undefined
  return unsupported === undefined
    ? Result.succeed({ _tag: "Ttl", ttl })
    : Result.fail(
      new ApiError.BadRequest({
        body: `Invalid check: the development agent runs no ${unsupported} checks: use TTL, TCP, HTTP, gRPC or alias`
      })
    )
}

const duration = (text: string | undefined): Result.Result<Duration.Duration, ApiError.BadRequest> =>
  text === undefined || text === ""
    ? Result.succeed(Duration.zero)
    : Result.fromOption(
      GoDuration.parse(text),
      () => new ApiError.BadRequest({ body: `Request decode failed: time: invalid duration ${JSON.stringify(text)}` })
    )

const positive = (value: Duration.Duration): boolean => Duration.isGreaterThan(value, Duration.zero)
const isSet = (text: string | undefined): text is string => text !== undefined && text !== ""
const first = (...texts: ReadonlyArray<string | undefined>): string | undefined => texts.find(isSet)
