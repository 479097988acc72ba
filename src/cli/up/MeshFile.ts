/**
 * A mesh in a file: services and config entries in the format of Consul's own agent configuration (`service`, `services`,
 * `config_entries.bootstrap`, a few settings of the agent), plus `applications`, the commands that start the programs behind the
 * services. Config entries may stand alone too, as resources of Kubernetes also. JSON, HCL or YAML; several files add up.
 */
import { Effect, Result, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import * as GoDecode from "../../agent/GoDecode.ts"
import * as Contents from "../../policy/source/Contents.ts"
import * as Document from "../../policy/source/Document.ts"
import * as Folder from "../../policy/source/Folder.ts"
import * as Origin from "../../policy/Origin.ts"
import * as Node from "../../policy/syntax/Node.ts"
import * as Syntax from "../../policy/syntax/Syntax.ts"
import * as agentSettings from "./agentSettings.ts"

/** How one application is started. */
const ApplicationFields = Schema.Struct({
  /** The program and its arguments. `node` means the Node that runs this. */
  command: Schema.NonEmptyArray(Schema.NonEmptyString),
  /** Added to the environment of `effect-mesh up`. */
  env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** Relative to the file. Default: the file's folder. */
  cwd: Schema.optionalKey(Schema.String)
})

/** The sidecars of this project, or Envoys. */
const ProxyKind = Schema.Literals(["effect-mesh", "envoy"])
export type ProxyKind = typeof ProxyKind.Type

/** The settings besides services and entries. */
const Settings = Schema.Struct({
  datacenter: Schema.optionalKey(Schema.NonEmptyString),
  node_name: Schema.optionalKey(Schema.NonEmptyString),
  default_intention_policy: Schema.optionalKey(Schema.Literals(["allow", "deny"])),
  /** What runs as sidecars. */
  proxy: Schema.optionalKey(ProxyKind),
  /** The same for some of them, by id of their service. */
  proxies: Schema.optionalKey(Schema.Record(Schema.String, ProxyKind)),
  /** By id of their service. */
  applications: Schema.optionalKey(Schema.Record(Schema.String, ApplicationFields))
})

export interface Application {
  readonly service: string
  readonly command: readonly [string, ...Array<string>]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

export interface MeshFile {
  readonly datacenter: string | undefined
  readonly nodeName: string | undefined
  readonly defaultIntentionPolicy: "allow" | "deny" | undefined
  /** Of the services that `proxies` does not name. */
  readonly proxy: ProxyKind | undefined
  /** By id of their service. */
  readonly proxies: Readonly<Record<string, ProxyKind>>
  readonly services: ReadonlyArray<Schema.JsonObject>
  readonly configEntries: ReadonlyArray<Schema.JsonObject>
  readonly applications: ReadonlyArray<Application>
  /** Ignored settings, in sentences. Logged once. */
  readonly notes: ReadonlyArray<string>
}

/** The file cannot be used. Nothing was started: correct the file and start again. */
export class InvalidFile extends Schema.TaggedError<InvalidFile>()("InvalidFile", {
  file: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.file}: ${this.why}`
}

/** Reads all files before any is used, so that no half-read mesh is started. */
export const load = (files: ReadonlyArray<string>): Effect.Effect<MeshFile, InvalidFile> =>
  Effect.gen(function*() {
    const parts: Array<MeshFile> = []
    for (const file of files) {
      const bytes = yield* Effect.tryPromise({
        try: () => readFile(file),
        catch: (cause) => new InvalidFile({ file, why: cause instanceof Error ? cause.message : String(cause) })
      })
      const text = Folder.decode(bytes)
      if (text === undefined) return yield* new InvalidFile({ file, why: "it is not UTF-8 text; convert it" })
      parts.push(yield* Effect.fromResult(parse(file, text)))
    }
    return yield* Effect.fromResult(merge(parts, files.join(", ")))
  })

export const parse = (file: string, text: string): Result.Result<MeshFile, InvalidFile> => {
  const document = new Document.Document(file, text, Syntax.parse(file, text))
  const { configurations, items, notes } = Contents.sort(document)
  const parts = configurations.map((node) => readConfiguration(document, node))
  const [problem, ...more] = document.problems
  if (problem !== undefined) {
    const [place = file, ...why] = Document.format(problem).split(": ")
    return Result.fail(new InvalidFile({ file: place, why: [why.join(": "), ...more.map(Document.format)].join("\n") }))
  }
  return merge(
    [{ ...empty, configEntries: entriesOf(document, items), notes: notes.map(Document.format) }, ...parts],
    file
  )
}

const empty: MeshFile = {
  datacenter: undefined,
  nodeName: undefined,
  defaultIntentionPolicy: undefined,
  proxy: undefined,
  proxies: {},
  services: [],
  configEntries: [],
  applications: [],
  notes: []
}

/** Problems go to the document. */
const readConfiguration = (
  document: Document.Document,
  node: Extract<Node.Node, { readonly type: "object" }>
): MeshFile => {
  const foreign = node.members.filter(({ key }) => !own.has(key.toLowerCase()))
  for (const { key, offset } of foreign) {
    if (agentSettings.known.has(key.toLowerCase())) continue
    document.problem(
      offset,
      `the setting ${key} is not known; correct it, or remove it: read are ${[...own].join(", ")}`
    )
  }
  const settings = readSettings(document, node)
  const folder = dirname(resolve(document.file))
  return {
    datacenter: settings.datacenter,
    nodeName: settings.node_name,
    defaultIntentionPolicy: settings.default_intention_policy,
    proxy: settings.proxy,
    proxies: settings.proxies ?? {},
    services: [...objects(document, node, "service"), ...objects(document, node, "services")],
    configEntries: entriesOf(document, Contents.bootstrap(document, node) ?? []),
    applications: Object.entries(settings.applications ?? {}).map(([service, application]) => ({
      service,
      command: application.command,
      env: application.env ?? {},
      cwd: resolve(folder, application.cwd ?? ".")
    })),
    notes: foreign.length === 0 ? [] : [
      `${document.file}: ${foreign.map(({ key }) => key).join(", ")} belong to an agent, and are left alone; read are ${
        [...own].join(", ")
      }`
    ]
  }
}

const own: ReadonlySet<string> = new Set(["service", "services", "config_entries", ...Object.keys(Settings.fields)])

const readSettings = (document: Document.Document, node: Node.Node): typeof Settings.Type => {
  const given = Object.fromEntries(
    Object.keys(Settings.fields).flatMap((key) => {
      const value = Contents.field(node, key)
      return value === undefined ? [] : [[key, json(value)]]
    })
  )
  const problem = (why: string): typeof Settings.Type => {
    document.problem(node.offset, why)
    return {}
  }
  const conformed = GoDecode.conform(Settings, given, { snakeCase: false, weak: false, unwrap: true })
  if (Result.isFailure(conformed)) return problem(conformed.failure.map(describe).join("; "))
  const decoded = Schema.decodeUnknownResult(Settings, { errors: "all" })(conformed.success)
  return Result.isSuccess(decoded) ? decoded.success : problem(decoded.failure.message)
}

/** Of Consul's decoder, for people. */
export const describe = (problem: GoDecode.Problem): string =>
  problem._tag === "UnknownKey"
    ? `unknown key ${problem.path}`
    : `${problem.path} is ${JSON.stringify(problem.actual)}, and a ${problem.expected} was expected`

/** The value of the key: one object, or a list of them. */
const objects = (document: Document.Document, node: Node.Node, key: string): ReadonlyArray<Schema.JsonObject> => {
  const found = Contents.field(node, key)
  const nodes = found === undefined || found.type === "null" ? [] : found.type === "list" ? found.items : [found]
  if (key === "service" && nodes[1] !== undefined) {
    document.problem(nodes[1].offset, "there is more than one service; write services")
  }
  return nodes.flatMap((each) => {
    if (each.type === "object") {
      return [Origin.mark(json(each) as Schema.JsonObject, document.place(each.offset))]
    }
    document.problem(each.offset, `a service belongs here, and this is ${Document.nameOf(each)}; correct it`)
    return []
  })
}

const entriesOf = (
  document: Document.Document,
  items: ReadonlyArray<Contents.Item>
): ReadonlyArray<Schema.JsonObject> =>
  items.map(({ node }) => Origin.mark(json(node) as Schema.JsonObject, document.place(node.offset)))

const json = (node: Node.Node): Schema.Json => Node.toValue(node) as Schema.Json

/** Settings of the agent may be given once; the rest adds up. */
const merge = (parts: ReadonlyArray<MeshFile>, file: string): Result.Result<MeshFile, InvalidFile> => {
  const once = <K extends "datacenter" | "nodeName" | "defaultIntentionPolicy" | "proxy">(key: K): MeshFile[K] =>
    parts.map((part) => part[key]).find((value) => value !== undefined)
  const applications = parts.flatMap((part) => part.applications)
  const twice = applications.find((a, i) => applications.findIndex((b) => b.service === a.service) !== i)
  if (twice !== undefined) {
    return Result.fail(new InvalidFile({ file, why: `the application of ${twice.service} is given twice: remove one` }))
  }
  return Result.succeed({
    datacenter: once("datacenter"),
    nodeName: once("nodeName"),
    defaultIntentionPolicy: once("defaultIntentionPolicy"),
    proxy: once("proxy"),
    proxies: Object.assign({}, ...parts.map((part) => part.proxies)),
    services: parts.flatMap((part) => part.services),
    configEntries: parts.flatMap((part) => part.configEntries),
    applications,
    notes: parts.flatMap((part) => part.notes)
  })
}
