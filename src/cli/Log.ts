/** Where the log goes: standard error, one line an entry, for people or for machines. */
import { Console, DateTime, Effect, Logger, References } from "effect"
import { Flag } from "effect/cli"
import * as LogThreshold from "../observe/LogThreshold.ts"

export const flags = {
  logJson: Flag.Boolean("log-json").pipe(
    Flag.withDescription("Write the log and all other messages to standard error as JSON, one object a line"),
    Flag.withDefault(false)
  )
}

/** `01:02:03.456 WARN [web] the text`: time of day in UTC, level, and which part of the mesh speaks, where known. */
const forPeople = Logger.make<unknown, void>(({ date, fiber, logLevel, message }) => {
  const { mesh, worker } = fiber.getRef(References.CurrentLogAnnotations)
  const time = DateTime.formatIso(DateTime.fromDateUnsafe(date)).slice(11, 23)
  const text = (Array.isArray(message) ? message : [message]).map(show).join(" ")
  const whose = (typeof worker === "number" ? `[worker ${worker}] ` : "") +
    (typeof mesh === "string" ? `[${mesh}] ` : "")
  process.stderr.write(`${time} ${logLevel.toUpperCase()} ${whose}${text}\n`)
})

const show = (part: unknown): string =>
  typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part)

const forMachines = Logger.map(Logger.formatJson, (line) => {
  process.stderr.write(`${line}\n`)
})

export interface Options {
  readonly logJson: boolean
}

/** `others` hear the same. */
export const layer = (options: Options, others: ReadonlyArray<Logger.Logger<unknown, unknown>> = []) =>
  LogThreshold.layer([options.logJson ? forMachines : forPeople, ...others])

/**
 * The message of a command that has started: on standard output for people, an entry of the log for machines, which then read
 * one stream. `keys` are for machines.
 */
export const announce = (
  { logJson }: Options,
  text: string,
  keys: Readonly<Record<string, unknown>> = {}
): Effect.Effect<void> => logJson ? Effect.annotateLogs(Effect.logInfo(text.trim()), keys) : Console.log(text)

/** Writes a message outside the log: about the command line, signals or the end. */
export type Say = (level: "INFO" | "ERROR", text: string) => void

/** For machines the same object as an entry of the log. */
export const say = ({ logJson }: Options): Say => (level, message) => {
  process.stderr.write(
    logJson
      ? `${JSON.stringify({ message, level, timestamp: new Date().toISOString(), annotations: {}, spans: {} })}\n`
      : `${message}\n`
  )
}
