/** How a command of `effect-mesh policy` ends: with a text on standard output and an exit code. */
import { Console, Effect } from "effect"

/** An unwelcome answer: denied, newly allowed, refuted. Errors are 1. */
export const unwelcome = 2

export const give = (text: string, exitCode: number) =>
  Effect.andThen(
    Console.log(text),
    Effect.sync(() => {
      if (exitCode !== 0) process.exitCode = exitCode
    })
  )
