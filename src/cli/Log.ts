/** Where the log goes: standard error, one line an entry, for people or for machines. */
import { DateTime, Logger, References } from "effect"
import { Flag } from "effect/cli"

export const flags = {
  logJson: Flag.Boolean("log-json").pipe(
    Flag.withDescription("Write the log as JSON, one object a line"),
    Flag.withDefault(false)
  )
}

/** `01:02:03.456 WARN [web] the text`: time of day in UTC, level, and which part of the mesh speaks, where known. */
const forPeople = Logger.make<unknown, void>(({ date, fiber, logLevel, message }) => {
  const { mesh } = fiber.getRef(References.CurrentLogAnnotations)
  const time = DateTime.formatIso(DateTime.fromDateUnsafe(date)).slice(11, 23)
  const text = (Array.isArray(message) ? message : [message]).map(show).join(" ")
  process.stderr.write(`${time} ${logLevel.toUpperCase()} ${typeof mesh === "string" ? `[${mesh}] ` : ""}${text}\n`)
})

const show = (part: unknown): string =>
  typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part)

const forMachines = Logger.map(Logger.formatJson, (line) => {
  process.stderr.write(`${line}\n`)
})

export const layer = (options: { readonly logJson: boolean }) =>
  Logger.layer([options.logJson ? forMachines : forPeople])
