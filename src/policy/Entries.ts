/**
 * Config entries, as `consul config write` takes them, read into what a policy is made of. What Consul would refuse to store is
 * refused here too, with file, position and remedy; then nothing is returned at all.
 */
import type * as Jsonc from "jsonc-parser"
import { Result, Schema } from "effect"
import * as ConfigEntry from "../consul/ConfigEntry.ts"
import * as Intention from "../intention/Intention.ts"
import type * as PathNormalization from "../intention/PathNormalization.ts"
import * as IntentionRules from "./IntentionRules.ts"
import * as Json from "./Json.ts"
import * as Names from "./Names.ts"
import * as Origin from "./Origin.ts"
import type * as Policy from "./Policy.ts"

export interface Source {
  /** For messages. */
  readonly file: string
  readonly text: string
  /** From an agent, which has checked it: newer than we are, perhaps, and never refused. */
  readonly stored?: boolean
}

export interface Entries {
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly services: ReadonlyArray<Policy.Service>
  readonly entries: ReadonlyArray<Policy.Entry>
  readonly defaultProtocol: string | undefined
  readonly normalization: PathNormalization.RequestNormalization
  /** What an agent's configuration file among them says. */
  readonly defaultPolicy: "allow" | "deny" | undefined
}

interface Entry {
  readonly kind: string
  readonly value: Json.Value
  readonly document: Json.Document
  readonly stored: boolean
}

/** All problems of all sources, or everything that they say. */
export const read = (sources: ReadonlyArray<Source>): Result.Result<Entries, ReadonlyArray<Json.Problem>> => {
  const documents: Array<Json.Document> = []
  const entries: Array<Entry> = []
  const services: Array<Policy.Service> = []
  let defaultPolicy: Entries["defaultPolicy"]
  for (const { file, stored = false, text } of sources) {
    const document = new Json.Document(file, text)
    documents.push(document)
    if (document.root === undefined || document.problems.length > 0) continue
    const file_ = readFile(document, document.root, stored)
    entries.push(...file_.entries)
    services.push(...file_.services)
    defaultPolicy = file_.defaultPolicy ?? defaultPolicy
  }
  const twice = new Map<string, Entry>()
  for (const entry of entries) {
    const key = `${entry.kind} ${Names.fold(Names.display(nameOf(entry.value)))}`
    const first = twice.get(key)
    if (first === undefined) twice.set(key, entry)
    else {
      entry.document.problemAt(
        entry.value,
        "Name",
        `the entry ${entry.kind} ${string(entry.value, "Name")} exists already, at ${
          first.document.position(first.value)
        }; merge the two`
      )
    }
  }
  const ofKind = (kind: string) => entries.filter((entry) => entry.kind === kind)
  const providers = new Set(ofKind("jwt-provider").map(({ value }) => string(value, "Name")))
  const intentions = ofKind("service-intentions").flatMap((entry) => toIntentions(entry, providers))
  const problems = documents.flatMap((document) => document.problems)
  if (problems.length > 0) return Result.fail(problems)
  const incoming = ofKind("mesh").map(({ value }) => at(value, "HTTP", "Incoming", "RequestNormalization"))[0]
  return Result.succeed({
    intentions,
    entries: entries.map(({ kind, value }) => ({ kind, name: nameOf(value) })),
    services: [
      ...services,
      ...ofKind("service-defaults").map(({ value }) => ({
        ...nameOf(value),
        // An entry without it means tcp, also where proxy-defaults says http.
        protocol: string(value, "Protocol").toLowerCase() || "tcp"
      })),
      ...ofKind("service-intentions").map(({ value }) => nameOf(value)).filter(({ service }) => service !== "*")
    ],
    defaultProtocol: ofKind("proxy-defaults").map(({ value }) =>
      string(at(value, "Config"), "protocol").toLowerCase()
    )[0] ||
      undefined,
    normalization: typeof incoming === "object" && incoming !== null ? incoming : {},
    defaultPolicy
  })
}

const string = (value: unknown, key: string): string => {
  const found = typeof value === "object" && value !== null ? (value as Json.Value)[key] : undefined
  return typeof found === "string" ? found : ""
}

const at = (value: unknown, ...keys: ReadonlyArray<string>): unknown =>
  keys.reduce<unknown>(
    (inner, key) => typeof inner === "object" && inner !== null ? (inner as Json.Value)[key] : undefined,
    value
  )

const nameOf = (value: Json.Value): Names.Name => ({
  service: string(value, "Name"),
  namespace: string(value, "Namespace") || "default",
  partition: string(value, "Partition") || "default"
})

/** A file holds an entry, a list of them, or an agent's configuration with `config_entries.bootstrap`. */
const readFile = (document: Json.Document, root: Jsonc.Node, stored: boolean): {
  readonly entries: ReadonlyArray<Entry>
  readonly services: ReadonlyArray<Policy.Service>
  readonly defaultPolicy: Entries["defaultPolicy"]
} => {
  const none = { services: [], defaultPolicy: undefined }
  const items = root.type === "array" ? root.children ?? [] : [root]
  const first = items[0] && document.read(items[0], shapes.file, true) as Json.Value | undefined
  if (root.type === "object" && first !== undefined && first["Kind"] === undefined) {
    const bootstrap = find(root, "configentries", "bootstrap")
    if (bootstrap === undefined && first["Services"] === undefined && first["Service"] === undefined) {
      document.problem(
        root.offset,
        "the field Kind is missing; every config entry has one, such as \"service-intentions\""
      )
    }
    const own = [...(first["Services"] as ReadonlyArray<unknown> | undefined ?? []), first["Service"]]
    const policy = string(first, "DefaultIntentionPolicy")
    return {
      entries: (bootstrap?.children ?? []).flatMap((node) => readEntry(document, node, stored)),
      services: own.map((service) => nameOf({ Name: string(service, "Name") })).filter(({ service }) => service !== ""),
      defaultPolicy: policy === "allow" || policy === "deny" ? policy : undefined
    }
  }
  return { ...none, entries: items.flatMap((node) => readEntry(document, node, stored)) }
}

const find = (node: Jsonc.Node, ...keys: ReadonlyArray<string>): Jsonc.Node | undefined =>
  keys.reduce<Jsonc.Node | undefined>(
    (inner, key) =>
      inner?.children?.find((property) =>
        String(property.children?.[0]?.value).replaceAll("_", "").toLowerCase() === key
      )
        ?.children?.[1],
    node
  )

const readEntry = (document: Json.Document, node: Jsonc.Node, stored: boolean): ReadonlyArray<Entry> => {
  const envelope = document.read(node, shapes.envelope, true) as Json.Value | undefined
  if (envelope === undefined) return []
  const kind = string(envelope, "Kind")
  if (kind === "") {
    document.problem(
      node.offset,
      "the field Kind is missing; every config entry has one, such as \"service-intentions\""
    )
    return []
  }
  if (!stored && !ConfigEntry.kinds.some((known) => known === kind)) {
    document.problemAt(envelope, "Kind", `the kind ${kind} is not known; known are ${ConfigEntry.kinds.join(", ")}`)
    return []
  }
  const shape = kind in shapes.entries ? shapes.entries[kind as keyof typeof shapes.entries] : shapes.envelope
  const before = document.problems.length
  const value = document.read(node, shape, stored) as Json.Value
  return document.problems.length > before ? [] : [{ kind, value, document, stored }]
}

const toIntentions = (
  { document, stored, value }: Entry,
  providers: ReadonlySet<string>
): ReadonlyArray<Intention.Intention> => {
  const problems = document.problems.length
  if (!stored) IntentionRules.check(document, value, providers)
  if (document.problems.length > problems) return []
  const destination = nameOf(value)
  return (value["Sources"] as ReadonlyArray<Json.Value> | undefined ?? []).flatMap((source) => {
    const peer = string(source, "Peer")
    const inherits = peer === "" && string(source, "SamenessGroup") === ""
    const decoded = Schema.decodeUnknownResult(Intention.Intention)({
      SourceName: source["Name"],
      SourceNS: string(source, "Namespace") || (inherits ? destination.namespace : "default"),
      SourcePartition: partition(string(source, "Partition") || (inherits ? destination.partition : "")),
      SourcePeer: peer,
      SourceSamenessGroup: source["SamenessGroup"],
      DestinationName: destination.service,
      DestinationNS: destination.namespace,
      DestinationPartition: partition(destination.partition),
      Description: source["Description"],
      Action: source["Action"],
      Permissions: stored ? source["Permissions"] : withUpperCaseMethods(source["Permissions"]),
      JWT: value["JWT"]
    })
    if (Result.isSuccess(decoded)) {
      const intention = { ...decoded.success, Precedence: Intention.precedence(decoded.success) }
      if (!stored) markOrigins(document, intention, source)
      return [intention]
    }
    document.problemAt(source, undefined, `this source can not be read: ${decoded.failure.message}`)
    return []
  })
}

const markOrigins = (document: Json.Document, intention: Intention.Intention, source: Json.Value) => {
  Origin.mark(intention, document.origin(source))
  const permissions = source["Permissions"] as ReadonlyArray<Json.Value> | undefined ?? []
  intention.Permissions?.forEach((permission, i) => Origin.mark(permission, document.origin(permissions[i]!)))
}

/** As Consul does on writing. */
const withUpperCaseMethods = (permissions: unknown): unknown =>
  (permissions as ReadonlyArray<{ readonly HTTP: { readonly Methods?: ReadonlyArray<string> } }> | undefined)?.map(
    ({ HTTP, ...rest }) => ({
      ...rest,
      HTTP: { ...HTTP, Methods: HTTP.Methods?.map((method) => method.toUpperCase()) }
    })
  )

const partition = (name: string): string => name === "default" ? "" : name

const { boolean, free, list, object, open, text } = Json

const claims = list(object({ Path: list(text), Value: text }))
const jwt = object({ Providers: list(object({ Name: text, VerifyClaims: claims })) })
const header = object({
  Name: text,
  Present: boolean,
  Exact: text,
  Prefix: text,
  Suffix: text,
  Contains: text,
  Regex: text,
  Invert: boolean,
  IgnoreCase: boolean
})
const http = object({ PathExact: text, PathPrefix: text, PathRegex: text, Header: list(header), Methods: list(text) })
const envelope = { Kind: text, Name: text, Namespace: text, Partition: text }
const indexes = { Meta: free, CreateIndex: free, ModifyIndex: free, Hash: free, Status: free }

const shapes = {
  file: open({
    Kind: text,
    Services: list(open({ Name: text })),
    Service: open({ Name: text }),
    DefaultIntentionPolicy: text
  }),
  envelope: open(envelope),
  entries: {
    "service-intentions": object({
      ...envelope,
      ...indexes,
      JWT: jwt,
      Sources: list(object({
        Name: text,
        Namespace: text,
        Partition: text,
        Peer: text,
        SamenessGroup: text,
        Action: text,
        Permissions: list(object({ Action: text, HTTP: http, JWT: jwt })),
        Precedence: free,
        Type: text,
        Description: text,
        LegacyID: free,
        LegacyMeta: free,
        LegacyCreateTime: free,
        LegacyUpdateTime: free
      }))
    }),
    "service-defaults": open({ ...envelope, Protocol: text }),
    "proxy-defaults": open({ ...envelope, Config: open({ protocol: text }) }),
    mesh: open({
      ...envelope,
      HTTP: open({
        Incoming: open({
          RequestNormalization: open({
            InsecureDisablePathNormalization: boolean,
            MergeSlashes: boolean,
            PathWithEscapedSlashesAction: text
          })
        })
      })
    })
  }
}
