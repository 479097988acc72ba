/** What every executable of this package does with its output and its signals. */

/**
 * A reader that has gone away, or a full disk, must not end a data plane: what cannot be written is lost.
 * A closed terminal ends the program like SIGTERM; a second signal ends it without waiting.
 */
export const prepare = (): void => {
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
  let signals = 0
  const stop = () => {
    signals++
    if (signals === 1) process.stderr.write("stopping; a second Ctrl-C stops without waiting\n")
    else process.exit(130)
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}
