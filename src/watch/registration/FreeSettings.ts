/**
 * The free settings of a registration (`Proxy.Config`, `Upstreams[].Config`), read one by one, as weakly as Consul reads them:
 * a number may be a text, and the case of a name does not matter. What makes no sense is as if it was not there.
 * Once all have been read, the rest is what nobody understands.
 */
import { Option, type Schema } from "effect"
import * as GoDuration from "../../consul/GoDuration.ts"
import * as GoWeak from "../../consul/GoWeak.ts"
import * as ForeignSettings from "./ForeignSettings.ts"
import * as TimerLimit from "../../route/TimerLimit.ts"

export interface FreeSettings {
  readonly number: (name: string) => number | undefined
  /** A whole number from 0 on, up to `most`. Fractions are cut off. */
  readonly count: (name: string, most?: number) => number | undefined
  /** Milliseconds from 0 on, within the range of a timer. */
  readonly millis: (name: string) => number | undefined
  /** Milliseconds, from a duration as Go writes it or a number of nanoseconds. Never negative. */
  readonly duration: (name: string) => number | undefined
  readonly flag: (name: string) => boolean | undefined
  /** Not empty. */
  readonly text: (name: string) => string | undefined
  /** The settings within this one. */
  readonly group: (name: string) => FreeSettings
  /** Leaves these out of what is not understood: they ask for nothing that could be missing. */
  readonly skip: (...names: ReadonlyArray<string>) => void
  /** What was not understood, a phrase for each. */
  readonly ignored: () => ReadonlyArray<string>
}

export type Config = { readonly [key: string]: Schema.Json }

export interface Options {
  /** `the proxy`, `the upstream billing`. */
  readonly whose: string
  /** Whether `ConnectTimeoutMs` is `connect_timeout_ms` too, as where config entries were merged in. */
  readonly anySpelling?: boolean | undefined
}

export const of = (config: Config, options: Options): FreeSettings => within(config, options, "")

const within = (config: Config, options: Options, path: string): FreeSettings => {
  const fold = (name: string) => options.anySpelling === true ? letters(name) : name.toLowerCase()
  const asked = new Map<string, string>()
  const unread = new Map(Object.entries(config).map(([name, value]) => [fold(name), { name, value }]))
  const problems: Array<() => ReadonlyArray<string>> = []

  const take = (name: string): Schema.Json | undefined => {
    asked.set(letters(name), name)
    const found = unread.get(fold(name))?.value
    unread.delete(fold(name))
    return found ?? undefined
  }
  const read = <A>(name: string, wanted: string, parse: (value: Schema.Json) => A | undefined): A | undefined => {
    const value = take(name)
    if (value === undefined) return undefined
    const parsed = parse(value)
    if (parsed === undefined) {
      const problem = `the setting ${path}${name} of ${options.whose}, where ${JSON.stringify(value)} is not ${wanted}`
      problems.push(() => [problem])
    }
    return parsed
  }

  return {
    number: (name) => read(name, "a number", numberOf),
    count: (name, most) =>
      read(name, most === undefined ? "a whole number from 0 on" : `a whole number from 0 to ${most}`, (value) => {
        const number = numberOf(value)
        if (number === undefined || number < 0 || (most !== undefined && number > most)) return undefined
        return Math.floor(number)
      }),
    millis: (name) =>
      read(name, "a number of milliseconds", (value) => {
        const number = numberOf(value)
        return number === undefined || number < 0 ? undefined : TimerLimit.clamp(Math.floor(number))
      }),
    duration: (name) =>
      read(name, "a duration such as \"10s\"", (value) => {
        const nanos = nanosOf(value)
        return nanos === undefined || nanos < 0 ? undefined : TimerLimit.clamp(nanos / 1e6)
      }),
    flag: (name) => read(name, "true or false", booleanOf),
    text: (name) => read(name, "a text", (value) => typeof value === "string" ? value : undefined) || undefined,
    group: (name) => {
      const inner = read(name, "a group of settings", groupOf)
      const settings = within(inner ?? {}, options, `${path}${name}.`)
      problems.push(settings.ignored)
      return settings
    },
    skip: (...names) => names.forEach(take),
    ignored: () => [
      ...problems.flatMap((problem) => problem()),
      ...Array.from(unread.values(), ({ name }) => {
        const meant = asked.get(letters(name))
        const hint = meant === undefined ? ForeignSettings.insteadOf(name) : `write it ${meant}`
        return `the setting ${path}${name} of ${options.whose}${hint === undefined ? "" : `: ${hint}`}`
      })
    ]
  }
}

/** All that is left where spelling does not count. */
const letters = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, "")

const numberOf = (value: Schema.Json): number | undefined => {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined
  const number = GoWeak.number(value)
  return number !== undefined && Number.isFinite(number) ? number : undefined
}

const booleanOf = (value: Schema.Json): boolean | undefined =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? GoWeak.boolean(value)
    : undefined

const nanosOf = (value: Schema.Json): number | undefined =>
  typeof value === "string" ? Option.getOrUndefined(Option.map(GoDuration.parseNanos(value), Number)) : numberOf(value)

/** A block of HCL arrives as a list of one. */
const groupOf = (value: Schema.Json): Config | undefined => {
  const one = Array.isArray(value) && value.length === 1 ? value[0] : value
  return isGroup(one) ? one : undefined
}

const isGroup = (value: Schema.Json | undefined): value is Config =>
  typeof value === "object" && value !== null && !Array.isArray(value)
