/** The access log, for those who do not write it into `proxy-defaults`, or want something else of this process. */
import { Option, Result } from "effect"
import { Flag } from "effect/cli"
import * as AccessLog from "../../observe/AccessLog.ts"
import type * as Choice from "../../sidecar/log/Choice.ts"

export const flags = {
  accessLog: Flag.String("access-log").pipe(
    Flag.withDescription(
      "Where lines about requests and connections go: stdout, stderr, off, or a file; default: as registered (AccessLogs)"
    ),
    Flag.withMetavar("WHERE"),
    Flag.optional
  ),
  accessLogFormat: Flag.String("access-log-format").pipe(
    Flag.filterMap(
      (text) => text === "json" || Result.isSuccess(AccessLog.text(text)) ? Option.some(text) : Option.none(),
      () => "json, or a text with operators of Envoy, such as \"%REQ(:METHOD)% %RESPONSE_CODE%\""
    ),
    Flag.withDescription(
      "What they look like: json, or a text with operators of Envoy; default: as registered, or json"
    ),
    Flag.withMetavar("FORMAT"),
    Flag.optional
  ),
  accessLogSample: Flag.Finite("access-log-sample").pipe(
    Flag.filterMap(
      (percent) => percent >= 0 && percent <= 100 ? Option.some(percent) : Option.none(),
      () => "a percentage from 0 to 100"
    ),
    Flag.withDescription("The percentage of what went well that has lines; what was refused or has failed always has"),
    Flag.withMetavar("PERCENT"),
    Flag.withDefault(100)
  )
}

export const choice = (options: {
  readonly accessLog: Option.Option<string>
  readonly accessLogFormat: Option.Option<string>
  readonly accessLogSample: number
}): Choice.Choice => {
  const to = Option.getOrUndefined(options.accessLog)
  const format = Option.getOrUndefined(options.accessLogFormat)
  return {
    to: to === undefined || to === "off"
      ? to
      : to === "stdout" || to === "stderr"
      ? { type: to }
      : { type: "file", path: to },
    format: format === undefined ? undefined : format === "json" ? { json: AccessLog.standard } : { text: format },
    sample: options.accessLogSample / 100
  }
}
