/** What every executable of this package does with its output and its signals. */
import * as Log from "./Log.ts"

let reopening: ReadonlySet<() => void> | undefined

/** From now on SIGHUP calls these, for a program that writes log files. */
export const reopenOnHangup = (all: ReadonlySet<() => void>): void => {
  reopening = all
}

/**
 * A reader that has gone away, or a full disk, must not end a data plane: what cannot be written is lost.
 * A closed terminal ends the program like SIGTERM; a second signal ends it without waiting. Without a terminal SIGHUP says that
 * log files were moved away, to those who have any.
 */
export const prepare = (
  say: Log.Say = Log.say({ logJson: false }),
  { isWorker = false }: { readonly isWorker?: boolean } = {}
): void => {
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  process.on("SIGHUP", () => {
    if (reopening === undefined || process.stdin.isTTY) process.kill(process.pid, "SIGTERM")
    else for (const reopen of reopening) reopen()
  })
  // It hears of one end more than once: from whoever ends all processes of a terminal or a unit, and from the one that it works for.
  if (isWorker) return
  let signals = 0
  const stop = () => {
    signals++
    if (signals === 1) say("INFO", "stopping; a second Ctrl-C stops without waiting")
    else process.exit(130)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}
