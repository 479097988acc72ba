/**
 * Settings of `effect-mesh proxy`, of those who look at one, and of `effect-mesh gateway`, from the environment and from a file, as flags: what is written there reads as if it stood on
 * the command line, and is checked in the same way.
 *
 *     flag  over  EFFECT_MESH_<FLAG>, then the variable that Consul's tools have for it  over  the file
 *
 * Where flags exclude one another (which proxy? which token?), the highest place that has one of them decides.
 */
import { Context, Result } from "effect"
import { readFile } from "node:fs/promises"
import * as TransportFailure from "../../consul/TransportFailure.ts"
import * as GatewayFlags from "../gateway/Flags.ts"
import * as Flags from "./Flags.ts"

/** Where a value comes from: `flag`, the name of a variable, or the path of a file. By flag, without dashes. */
export type Origins = ReadonlyMap<string, string>

export const Origins = Context.Reference<Origins>("effect-mesh/cli/proxy/Origins", { defaultValue: () => new Map() })

export interface Sourced {
  readonly args: ReadonlyArray<string>
  readonly origins: Origins
  /** Variables that look as if they were meant for this command, and are not. */
  readonly strangers: ReadonlyArray<string>
}

export type Environment = Readonly<Record<string, string | undefined>>

/** `sidecarFor` is set by `--sidecar-for`. */
export const flagOf = (option: string): string => option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const namesOf = (flags: object): ReadonlyArray<string> => [...Object.keys(flags).map(flagOf), "log-level"]

/** The flags of each command that takes settings. */
const byCommand: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["proxy", namesOf(Flags.flags)],
  ["check", namesOf(Flags.flags)],
  ["gateway", namesOf(GatewayFlags.flags)]
])

/** May be given more than once; in a variable with commas or spaces in between. */
const lists: ReadonlyArray<string> = ["sidecar-for", "upstream", "login-meta"]

const exclusive: ReadonlyArray<ReadonlyArray<string>> = [
  ["sidecar-for", "proxy-id", "service", "node"],
  ["token", "token-file"]
]

/** Read by the client of the agent, which says their names where something is wrong with them. */
const consulVariables: Readonly<Record<string, string>> = {
  "http-addr": "CONSUL_HTTP_ADDR",
  token: "CONSUL_HTTP_TOKEN",
  "token-file": "CONSUL_HTTP_TOKEN_FILE",
  "ca-file": "CONSUL_CACERT",
  "ca-path": "CONSUL_CAPATH",
  "client-cert": "CONSUL_CLIENT_CERT",
  "client-key": "CONSUL_CLIENT_KEY",
  "tls-server-name": "CONSUL_TLS_SERVER_NAME",
  namespace: "CONSUL_NAMESPACE",
  partition: "CONSUL_PARTITION"
}

/** Read here. */
const connectVariables: Readonly<Record<string, string>> = {
  "sidecar-for": "CONNECT_SIDECAR_FOR",
  "proxy-id": "CONNECT_PROXY_ID"
}

/** A setting. `values`: as flags; undefined: somebody else reads it. */
interface Setting {
  readonly name: string
  readonly values: ReadonlyArray<string> | undefined
  readonly origin: string
}

const prefix = "EFFECT_MESH_"

const variableOf = (name: string): string => `${prefix}${name.replaceAll("-", "_").toUpperCase()}`

/** Reads the file that is named; leaves other commands as they are. `args` are normalized. */
export const read = async (
  args: ReadonlyArray<string>,
  environment: Environment
): Promise<Result.Result<Sourced, string>> => {
  const at = commandAt(args)
  if (at === undefined) return Result.succeed({ args, origins: new Map(), strangers: [] })
  const path = valueOf(args, "config") ?? (environment[variableOf("config")] || undefined)
  const file = path === undefined ? Result.succeed([]) : await readSettings(path)
  return Result.map(file, (settings) => merge(args, at, environment, settings))
}

/** Where the command stands, if it is one of them. */
const commandAt = (args: ReadonlyArray<string>): number | undefined => {
  const at = args.findIndex((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--log-level")
  return at !== -1 && byCommand.has(args[at]!) ? at : undefined
}

const valueOf = (args: ReadonlyArray<string>, name: string): string | undefined => {
  const at = args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  return at === -1 ? undefined : args[at]!.includes("=") ? args[at]!.slice(name.length + 3) : args[at + 1]
}

const merge = (
  args: ReadonlyArray<string>,
  at: number,
  environment: Environment,
  file: ReadonlyArray<Setting>
): Sourced => {
  const names = byCommand.get(args[at]!)!
  const end = args.indexOf("--")
  const given = (end === -1 ? args : args.slice(0, end)).flatMap((arg) => /^--(?:no-)?([^=]+)/.exec(arg)?.[1] ?? [])
  const origins = new Map(given.filter((name) => names.includes(name)).map((name) => [name, "flag"]))
  const added: Array<string> = []
  for (const settings of [fromEnvironment(names, environment), file]) {
    const taken = new Set([...origins.keys()].flatMap((name) => [name, ...excludedBy(name)]))
    for (const { name, origin, values } of settings) {
      if (taken.has(name)) continue
      origins.set(name, origin)
      added.push(...(values ?? []).map((value) => `--${name}=${value}`))
    }
  }
  return {
    args: [...args.slice(0, at + 1), ...added, ...lastOnes(names, args.slice(at + 1))],
    origins,
    strangers: Object.keys(environment).filter((variable) => isStranger(names, variable))
  }
}

/** Without flags that are given again later, as Go's tools understand it: scripts put what is theirs before what they are given. */
const lastOnes = (names: ReadonlyArray<string>, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = args.indexOf("--")
  const nameAt = (i: number) => end === -1 || i < end ? /^--([^=]+)/.exec(args[i] ?? "")?.[1] : undefined
  const isGivenAgain = (i: number) => {
    const name = nameAt(i)
    return name !== undefined && names.includes(name) && !lists.includes(name) &&
      args.some((_, later) => later > i && nameAt(later) === name)
  }
  const isValueOf = (i: number) =>
    !args[i]!.startsWith("-") && i > 0 && !args[i - 1]!.includes("=") && isGivenAgain(i - 1)
  return args.filter((_, i) => !isGivenAgain(i) && !isValueOf(i))
}

const excludedBy = (name: string): ReadonlyArray<string> => exclusive.find((group) => group.includes(name)) ?? []

/** An empty variable is as good as none. */
const fromEnvironment = (names: ReadonlyArray<string>, environment: Environment): ReadonlyArray<Setting> =>
  names.flatMap((name): ReadonlyArray<Setting> => {
    const own = [variableOf(name), connectVariables[name]].find((variable) => variable && environment[variable])
    if (own !== undefined) {
      const text = environment[own]!
      const values = lists.includes(name) ? text.split(/[\s,]+/).filter((value) => value !== "") : [text]
      return [{ name, values, origin: own }]
    }
    const consuls = consulVariables[name]
    return consuls !== undefined && environment[consuls] ? [{ name, values: undefined, origin: consuls }] : []
  })

/** Kubernetes has such variables for a Service that is called effect-mesh. */
const ofKubernetes = /^EFFECT_MESH(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$/

const isStranger = (names: ReadonlyArray<string>, variable: string): boolean =>
  variable.startsWith(prefix) && !ofKubernetes.test(variable) && !names.some((name) => variableOf(name) === variable)

/** A YAML or JSON map of flags, without dashes. Names that do not exist are found by whoever checks flags. */
const readSettings = async (path: string): Promise<Result.Result<ReadonlyArray<Setting>, string>> => {
  let text
  try {
    text = await readFile(path, "utf8")
  } catch (cause) {
    return Result.fail(`--config names ${path}, which cannot be read (${TransportFailure.reasonOf(cause)})`)
  }
  // Loaded here, so that a sidecar without a file does not carry it around.
  const Yaml = await import("yaml")
  const document = Yaml.parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) return Result.fail(`${path}: ${error.message.split("\n")[0]?.replace(/:$/, "")}`)
  const content: unknown = document.toJS() ?? {}
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    return Result.fail(`${path}: write a map of flags without dashes, such as "sidecar-for: web"`)
  }
  return Result.all(
    Object.entries(content).filter(([, value]) => value !== null).map(([name, value]) => settingOf(path, name, value))
  )
}

const settingOf = (path: string, name: string, value: unknown): Result.Result<Setting, string> => {
  const values = Array.isArray(value) ? value : [value]
  return name === "config"
    ? Result.fail(`${path}: config cannot be set in a file of its own`)
    : values.every((each) => ["string", "number", "boolean"].includes(typeof each))
    ? Result.succeed({ name, values: values.map(String), origin: path })
    : Result.fail(`${path}: ${name} must be a text, a number, true or false, or a list of these`)
}
