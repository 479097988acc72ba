/** Durations as Go's `time` package spells them (`"1m30s"`, `"500ms"`), or as an integer of nanoseconds. */
import { Duration, Effect, Option, Schema, SchemaGetter, SchemaIssue } from "effect"

const unitNanos: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n,
  "μs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n
}

const term = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y

/** Nanoseconds, or none for a text that Go's `time.ParseDuration` refuses. `"0"` is the only number without a unit. */
export const parseNanos = (text: string): Option.Option<bigint> => {
  const negative = text.startsWith("-")
  const body = negative || text.startsWith("+") ? text.slice(1) : text
  if (body === "0") return Option.some(0n)
  if (body === "") return Option.none()
  let total = 0n
  term.lastIndex = 0
  while (term.lastIndex < body.length) {
    const match = term.exec(body)
    if (match === null) return Option.none()
    const [whole = "", fraction = ""] = (match[1] ?? "").split(".")
    const unit = unitNanos[match[2] ?? ""] ?? 0n
    total += BigInt(whole === "" ? "0" : whole) * unit
    if (fraction !== "") total += BigInt(fraction) * unit / 10n ** BigInt(fraction.length)
  }
  return Option.some(negative ? -total : total)
}

export const parse = (text: string): Option.Option<Duration.Duration> => Option.map(parseNanos(text), fromNanos)

const fromNanos = (nanos: bigint): Duration.Duration =>
  nanos % 1_000_000n === 0n ? Duration.millis(Number(nanos / 1_000_000n)) : Duration.nanos(nanos)

/** `Duration.String` of Go: the largest unit below a second, else hours, minutes and seconds (`"1h0m0s"`). */
export const formatNanos = (nanos: bigint): string => {
  if (nanos === 0n) return "0s"
  if (nanos < 0n) return `-${formatNanos(-nanos)}`
  if (nanos < 1_000n) return `${nanos}ns`
  if (nanos < 1_000_000n) return `${decimal(nanos, 3)}µs`
  if (nanos < 1_000_000_000n) return `${decimal(nanos, 6)}ms`
  const minutes = nanos / 60_000_000_000n
  const seconds = `${decimal(nanos % 60_000_000_000n, 9)}s`
  if (minutes === 0n) return seconds
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`
}

export const format = (duration: Duration.Duration): string => formatNanos(nanosOf(duration))

const nanosOf = (duration: Duration.Duration): bigint => Option.getOrElse(Duration.toNanos(duration), () => 0n)

/** `nanos` shifted right by `digits` decimals, without trailing zeros. */
const decimal = (nanos: bigint, digits: number): string => {
  const padded = nanos.toString().padStart(digits + 1, "0")
  const fraction = padded.slice(-digits).replace(/0+$/, "")
  return fraction === "" ? padded.slice(0, -digits) : `${padded.slice(0, -digits)}.${fraction}`
}

const decode = (input: string | number): Effect.Effect<Duration.Duration, SchemaIssue.Issue> =>
  Effect.fromOption(
    typeof input === "number"
      ? Option.some(fromNanos(BigInt(Math.round(input))))
      : parse(input === "" ? "0" : input),
    () => new SchemaIssue.InvalidValue({ expected: "a duration such as \"5s\" or a number of nanoseconds" }, input)
  )

/** Reads both spellings, writes a string such as `"5s"`. */
export const FromText = Schema.Union([Schema.String, Schema.Finite]).pipe(
  Schema.decodeTo(Schema.Duration, {
    decode: SchemaGetter.transformEffect(decode),
    encode: SchemaGetter.transform((duration): string | number => format(duration))
  })
)

/** Reads both spellings, writes an integer of nanoseconds. */
export const FromNanos = Schema.Union([Schema.String, Schema.Finite]).pipe(
  Schema.decodeTo(Schema.Duration, {
    decode: SchemaGetter.transformEffect(decode),
    encode: SchemaGetter.transform((duration): string | number => Number(nanosOf(duration)))
  })
)
