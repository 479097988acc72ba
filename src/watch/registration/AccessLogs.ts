/** Where the access log of a sidecar goes and what its lines look like: `AccessLogs` of proxy-defaults, merged by the agent. */
import { Result, type Schema } from "effect"
import type * as Proxy from "../../consul/Proxy.ts"
import * as AccessLog from "../../observe/AccessLog.ts"

export interface AccessLogs {
  readonly to: { readonly type: "stdout" | "stderr" } | { readonly type: "file"; readonly path: string }
  /** For `AccessLog.text` or `AccessLog.json`, neither of which fails for it. */
  readonly format: { readonly text: string } | { readonly json: Schema.JsonObject }
  /** Whether connections that come to no request, or to nobody, have lines too. */
  readonly listenerLogs: boolean
}

export interface Parsed {
  /** Undefined: there is no access log. */
  readonly accessLogs: AccessLogs | undefined
  readonly ignored: ReadonlyArray<string>
}

/** A format that is wrong is said, and lines have the standard one: better than none. */
export const parse = (logs: Proxy.Proxy["AccessLogs"]): Parsed => {
  if (logs?.Enabled !== true) return { accessLogs: undefined, ignored: [] }
  const to = destination(logs.Type, logs.Path)
  if (Result.isFailure(to)) return { accessLogs: undefined, ignored: [`the access log: ${to.failure}`] }
  const format = formatOf(logs.JSONFormat, logs.TextFormat)
  return {
    accessLogs: {
      to: to.success,
      format: Result.getOrElse(format, () => ({ json: AccessLog.standard })),
      listenerLogs: !logs.DisableListenerLogs
    },
    ignored: Result.isFailure(format) ? [`the format of the access log: ${format.failure}`] : []
  }
}

const destination = (type: string, path: string): Result.Result<AccessLogs["to"], string> => {
  switch (type) {
    case "":
    case "stdout":
      return Result.succeed({ type: "stdout" })
    case "stderr":
      return Result.succeed({ type })
    case "file":
      return path === "" ? Result.fail("it goes to a file, and no Path is given") : Result.succeed({ type, path })
    default:
      return Result.fail(`its type ${JSON.stringify(type)} is none of stdout, stderr and file`)
  }
}

const formatOf = (json: string, text: string): Result.Result<AccessLogs["format"], string> => {
  if (json !== "") {
    return Result.flatMap(object(json), (json) => Result.map(AccessLog.json(json), () => ({ json })))
  }
  return text === ""
    ? Result.succeed({ json: AccessLog.standard })
    : Result.map(AccessLog.text(text), () => ({ text }))
}

const object = (text: string): Result.Result<Schema.JsonObject, string> => {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? Result.succeed({ ...parsed })
      : Result.fail("JSONFormat is no object")
  } catch {
    return Result.fail("JSONFormat is no JSON")
  }
}
