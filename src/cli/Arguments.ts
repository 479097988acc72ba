/** Command lines as people write them, before they are parsed. Pure. */

/**
 * With two dashes before each long flag: Consul's own commands are written with one (`-sidecar-for web`,
 * `-http-addr=127.0.0.1:8500`), and its log levels in any case. Short flags (`-f`), numbers, and what follows `--` stay.
 */
export const normalize = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = args.indexOf("--")
  const operands = end === -1 ? [] : args.slice(end)
  const given = end === -1 ? args : args.slice(0, end)
  const doubled = given.map((arg) => /^-[A-Za-z][\w-]+(=|$)/.test(arg) ? `-${arg}` : arg)
  return [
    ...doubled.map((arg, i) =>
      arg.startsWith("--log-level=")
        ? `--log-level=${level(arg.slice("--log-level=".length))}`
        : doubled[i - 1] === "--log-level"
        ? level(arg)
        : arg
    ),
    ...operands
  ]
}

const level = (text: string): string => {
  const lower = text.toLowerCase()
  return lower === "err" ? "error" : lower
}

/** Whether messages before and after the log must be JSON too. */
export const wantsJson = (normalized: ReadonlyArray<string>): boolean => {
  const end = normalized.indexOf("--")
  return (end === -1 ? normalized : normalized.slice(0, end)).some((arg) =>
    arg === "--log-json" || /^--log-json=(true|1|y|yes|on)$/i.test(arg)
  )
}
