/** The names of services in queries about intentions: `svc`, `ns/svc`, `partition/ns/svc`, with `peer:name/` before them. */
import { Result } from "effect"

export interface IntentionName {
  readonly service: string
  readonly namespace: string
  readonly peer: string
}

/** Fails with a real agent's words. */
export const parse = (parameter: string, text: string): Result.Result<IntentionName, string> => {
  const parts = text.split("/")
  const first = parts[0] ?? ""
  const peer = first.startsWith("peer:") && parts.length > 1 ? first.slice("peer:".length) : ""
  const rest = peer === "" ? parts : parts.slice(1)
  if (rest.length > 3) {
    return Result.fail(`${parameter} ${JSON.stringify(text)} is invalid: input can contain at most two '/'`)
  }
  return Result.succeed({
    service: rest.at(-1) ?? "",
    namespace: rest.at(-2) || "default",
    peer
  })
}
