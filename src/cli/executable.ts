/** What every executable of this package does with its output and its signals. */
import * as Log from "./Log.ts"

/**
 * A reader that has gone away, or a full disk, must not end a data plane: what cannot be written is lost.
 * A closed terminal ends the program like SIGTERM; a second signal ends it without waiting.
 */
export const prepare = (say: Log.Say = Log.say({ logJson: false })): void => {
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
  let signals = 0
  const stop = () => {
    signals++
    if (signals === 1) say("INFO", "stopping; a second Ctrl-C stops without waiting")
    else process.exit(130)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}
