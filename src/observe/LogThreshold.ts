/**
 * The level of the log, which can be changed while the program runs. Fibers keep the `MinimumLogLevel` that they were started with,
 * so that they let everything through here, and the loggers leave out what is below the threshold.
 */
import { Context, Effect, Layer, Logger, LogLevel, References } from "effect"

export class LogThreshold extends Context.Service<LogThreshold, {
  readonly level: () => LogLevel.LogLevel
  readonly set: (level: LogLevel.LogLevel) => void
}>()("effect-mesh/observe/LogThreshold") {}

/** Begins with the `MinimumLogLevel` that is in force where the layer is built. */
export const layer = (loggers: ReadonlyArray<Logger.Logger<unknown, unknown>>): Layer.Layer<LogThreshold> =>
  Layer.unwrap(Effect.map(References.MinimumLogLevel, (initial) => {
    let level: LogLevel.LogLevel = initial
    const heard = loggers.map((logger) =>
      Logger.make<unknown, void>((entry) => {
        if (LogLevel.isGreaterThanOrEqualTo(entry.logLevel, level)) void logger.log(entry)
      })
    )
    return Layer.mergeAll(
      Logger.layer(heard),
      Layer.succeed(References.MinimumLogLevel, "All"),
      Layer.succeed(LogThreshold, {
        level: () => level,
        set: (next) => {
          level = next
        }
      })
    )
  }))
