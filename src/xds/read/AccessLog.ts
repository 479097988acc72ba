/** Where the lines of listeners go, and what they look like. */
import type * as Proxy from "../../consul/Proxy.ts"
import type * as Fields from "./Fields.ts"
import * as TlsContext from "./TlsContext.ts"

/** As a registration has it. Undefined: there are none. */
export type AccessLog = NonNullable<Proxy.Proxy["AccessLogs"]>

export const read = (logs: ReadonlyArray<Fields.Fields>): AccessLog | undefined => {
  const [log, ...others] = logs
  if (log === undefined) return undefined
  for (const other of others) other.flaw("it is a second log")
  log.skip("name", "filter")
  const config = log.one("typed_config")
  const Type = types[config?.type() ?? ""] ?? ""
  if (config === undefined || Type === "") {
    log.flaw("it goes somewhere that is not known")
    return undefined
  }
  const format = config.one("log_format")
  format?.skip("omit_empty_values", "content_type")
  const json = format?.json("json_format")
  return {
    Enabled: true,
    Type,
    Path: Type === "file" ? config.text("path") : "",
    JSONFormat: json === undefined ? "" : JSON.stringify(json),
    TextFormat: format?.text("text_format") || TlsContext.source(format?.one("text_format_source")),
    DisableListenerLogs: true
  }
}

const types: Readonly<Record<string, AccessLog["Type"]>> = {
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": "stdout",
  "envoy.extensions.access_loggers.stream.v3.StderrAccessLog": "stderr",
  "envoy.extensions.access_loggers.file.v3.FileAccessLog": "file"
}
