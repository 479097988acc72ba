/**
 * The access logs of sidecars. Entries of the recordings leave them to the standard output; here all sidecars of a mesh write
 * one file, as the entry is one for all, and each line tells by the address that was connected to whose it is.
 */
import type { Schema } from "effect"
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import * as Json from "./Json.ts"

const address = "%DOWNSTREAM_LOCAL_ADDRESS%"
const field = "parity_local_address"

export interface Logs {
  readonly path: string
  /** An entry that asks for logs, made to write them to the file. */
  readonly redirected: (entry: Schema.JsonObject) => Schema.JsonObject
  readonly forget: () => void
  /** The lines of a sidecar that listens on these ports. */
  readonly of: (ports: ReadonlySet<number>) => ReadonlyArray<string>
}

export const make = (path: string): Logs => {
  writeFileSync(path, "")
  return {
    path,
    redirected: (entry) => {
      const logs = entry["AccessLogs"]
      return Json.isObject(logs) ? { ...entry, AccessLogs: { ...marked(logs), Type: "file", Path: path } } : entry
    },
    forget: () => {
      if (statSync(path).size > 0) truncateSync(path)
    },
    of: (ports) =>
      readFileSync(path, "utf8").split("\n").filter((line) => line !== "").map(parted)
        .filter(([port]) => ports.has(port)).map(([, line]) => line)
  }
}

/** Text gets the address in front; JSON of one's own, a field more. The built-in format has it. */
const marked = (logs: Schema.JsonObject): Schema.JsonObject => {
  const { JSONFormat, TextFormat } = logs
  if (typeof TextFormat === "string") return { ...logs, TextFormat: `${address} ${TextFormat}` }
  if (typeof JSONFormat !== "string") return logs
  return { ...logs, JSONFormat: JSON.stringify({ ...JSON.parse(JSONFormat), [field]: address }) }
}

/** The port and the line, without what was put in. */
const parted = (line: string): readonly [number, string] => {
  if (!line.startsWith("{")) return [portOf(line.split(" ", 1)[0]), line.slice(line.indexOf(" ") + 1)]
  const { [field]: ours, ...record }: Record<string, unknown> = JSON.parse(line)
  return [portOf(ours ?? record["downstream_local_address"]), JSON.stringify(record)]
}

const portOf = (address: unknown): number => Number(String(address).split(":").at(-1))
