/** Access logs: of requests and connections that go somewhere, and of those that found no way. */
import * as AccessLogs from "../../watch/registration/AccessLogs.ts"
import type * as Proxy from "../../consul/Proxy.ts"
import { any } from "../proto/Encode.ts"
import type { AnyMessage, JsonObject, Message } from "../proto/Messages.ts"

export interface Logs {
  /** For a connection manager, or a proxy of bytes. */
  readonly filter: ReadonlyArray<Message<"accesslog.AccessLog">> | undefined
  readonly listener: ReadonlyArray<Message<"accesslog.AccessLog">> | undefined
}

export const make = (said: Proxy.Proxy["AccessLogs"]): Logs => {
  const { accessLogs } = AccessLogs.parse(said)
  if (accessLogs === undefined) return { filter: undefined, listener: undefined }
  const typed_config = sink(accessLogs)
  return {
    filter: [{ name: "Consul Listener Filter Log", typed_config }],
    listener: accessLogs.listenerLogs
      ? [{ name: "Consul Listener Log", filter: { response_flag_filter: { flags: ["NR"] } }, typed_config }]
      : undefined
  }
}

const sink = ({ format, to }: AccessLogs.AccessLogs): AnyMessage => {
  const log_format: Message<"core.SubstitutionFormatString"> = "json" in format
    ? { json_format: format.json as JsonObject }
    : { text_format_source: { inline_string: format.text.endsWith("\n") ? format.text : `${format.text}\n` } }
  switch (to.type) {
    case "file":
      return any("file_log.FileAccessLog", { path: to.path, log_format })
    case "stderr":
      return any("stream_log.StderrAccessLog", { log_format })
    case "stdout":
      return any("stream_log.StdoutAccessLog", { log_format })
  }
}
