/** Levels of the log, as people write them. */
import type { LogLevel } from "effect"
import type * as LogThreshold from "../observe/LogThreshold.ts"
import type * as Documents from "./Documents.ts"

const byName: Readonly<Record<Documents.LogLevel, LogLevel.LogLevel>> = {
  none: "None",
  fatal: "Fatal",
  error: "Error",
  warn: "Warn",
  info: "Info",
  debug: "Debug",
  trace: "Trace"
}

export const of = (name: Documents.LogLevel): LogLevel.LogLevel => byName[name]

export const current = (threshold: LogThreshold.LogThreshold["Service"]): typeof Documents.Logging.Type => {
  const level = threshold.level()
  const found = Object.entries(byName).find(([, known]) => known === level)
  return { level: found === undefined ? "trace" : found[0] as Documents.LogLevel }
}
