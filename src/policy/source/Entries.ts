/**
 * Config entries, as `consul config write` takes them, read into what a policy is made of. What Consul would refuse to store is
 * refused here too, with file, position and remedy; then nothing is returned at all.
 */
import { Result, Schema } from "effect"
import * as ConfigEntry from "../../consul/ConfigEntry.ts"
import * as Intention from "../../intention/Intention.ts"
import * as StoredEntry from "../../consul/config/StoredEntry.ts"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import * as Contents from "./Contents.ts"
import * as Document from "./Document.ts"
import * as IntentionRules from "./IntentionRules.ts"
import * as Names from "../Names.ts"
import * as Origin from "../Origin.ts"
import type * as Policy from "../Policy.ts"
import * as Json from "../syntax/Json.ts"
import * as Node from "../syntax/Node.ts"
import * as Syntax from "../syntax/Syntax.ts"

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
  /** What was left out, because it is none of Consul's. To be shown. */
  readonly notes: ReadonlyArray<Document.Problem>
}

interface Configured {
  readonly policy: "allow" | "deny"
  readonly place: string
}

interface Entry {
  readonly kind: string
  readonly value: Document.Value
  readonly document: Document.Document
  readonly stored: boolean
}

/** All problems of all sources, or everything that they say. */
export const read = (sources: ReadonlyArray<Source>): Result.Result<Entries, ReadonlyArray<Document.Problem>> => {
  const documents: Array<Document.Document> = []
  const entries: Array<Entry> = []
  const services: Array<Policy.Service> = []
  const notes: Array<Document.Problem> = []
  let configured: Configured | undefined
  for (const { file, stored = false, text } of sources) {
    const document = new Document.Document(file, text, stored ? Json.parse(text) : Syntax.parse(file, text))
    documents.push(document)
    if (document.problems.length > 0) continue
    const contents = Contents.read(document)
    entries.push(...contents.items.flatMap((item) => readEntry(document, item, stored)))
    services.push(...contents.services.map((service) => nameOf({ Name: service })))
    notes.push(...contents.notes)
    for (const { node, policy } of contents.defaultPolicies) {
      if (configured !== undefined && configured.policy !== policy) {
        document.problem(
          node.offset,
          `the default policy is ${policy} here, and ${configured.policy} at ${configured.place}`
        )
      }
      configured ??= { policy, place: Origin.format(document.place(node.offset)) }
    }
  }
  entries.forEach(checkSingle)
  checkRepeated(entries)
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
    defaultPolicy: configured?.policy,
    notes
  })
}

/** Consul keeps one entry for each kind and name, and one mesh entry. */
const checkRepeated = (entries: ReadonlyArray<Entry>): void => {
  const known = new Map<string, Entry>()
  for (const entry of entries) {
    const name = entry.kind === "mesh" ? { ...nameOf(entry.value), service: "mesh" } : nameOf(entry.value)
    const key = `${entry.kind} ${Names.fold(Names.display(name))}`
    const first = known.get(key)
    if (first === undefined) known.set(key, entry)
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
}

const string = (value: unknown, key: string): string => {
  const found = typeof value === "object" && value !== null ? (value as Document.Value)[key] : undefined
  return typeof found === "string" ? found : ""
}

const at = (value: unknown, ...keys: ReadonlyArray<string>): unknown =>
  keys.reduce<unknown>(
    (inner, key) => typeof inner === "object" && inner !== null ? (inner as Document.Value)[key] : undefined,
    value
  )

const nameOf = (value: Document.Value): Names.Name => ({
  service: string(value, "Name"),
  namespace: string(value, "Namespace") || "default",
  partition: string(value, "Partition") || "default"
})

const readEntry = (document: Document.Document, item: Contents.Item, stored: boolean): ReadonlyArray<Entry> => {
  const { kind, node } = item
  if (!stored && !kinds.has(kind)) {
    document.problem(
      Node.get(node, "Kind")?.offset ?? Node.get(node, "kind")?.offset ?? node.offset,
      `the kind ${kind} is not known; known are ${[...kinds].join(", ")}`
    )
    return []
  }
  const shape = Object.hasOwn(shapes, kind) ? shapes[kind as keyof typeof shapes] : Document.open(envelope)
  const before = document.problems.length
  const value = document.read(node, shape, { lenient: stored, kubernetes: item.kubernetes }) as Document.Value
  return document.problems.length > before ? [] : [{ kind, value, document, stored }]
}

/** Consul has one of each, and takes no other name. */
const checkSingle = ({ document, kind, stored, value }: Entry) => {
  const only = kind === "proxy-defaults" ? "global" : kind === "mesh" ? "mesh" : undefined
  const name = string(value, "Name")
  if (stored || only === undefined || name === only || (kind === "mesh" && name === "")) return
  document.problemAt(value, "Name", `the ${kind} entry has the name ${only}, and no other; correct it`)
}

const toIntentions = (
  { document, stored, value }: Entry,
  providers: ReadonlySet<string>
): ReadonlyArray<Intention.Intention> => {
  const problems = document.problems.length
  if (!stored) IntentionRules.check(document, value, providers)
  if (document.problems.length > problems) return []
  const destination = nameOf(value)
  return (value["Sources"] as ReadonlyArray<Document.Value> | undefined ?? []).flatMap((source) => {
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

const markOrigins = (document: Document.Document, intention: Intention.Intention, source: Document.Value) => {
  Origin.mark(intention, document.origin(source))
  const permissions = source["Permissions"] as ReadonlyArray<Document.Value> | undefined ?? []
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

const { boolean, free, list, object, open, text } = Document

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

/** All fields of a kind, so that a misspelt one is found. Only some of them matter here. */
const fieldsOf = (
  kind: "service-defaults" | "proxy-defaults" | "mesh"
): { readonly [field: string]: Document.Shape } => ({
  ...Object.fromEntries(Object.keys(StoredEntry.byKind[kind].fields).map((field) => [field, free])),
  ...envelope,
  ...indexes
})

/** Of other kinds nothing but the name matters. */
const shapes = {
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
  "service-defaults": object({ ...fieldsOf("service-defaults"), Protocol: text }),
  "proxy-defaults": object({ ...fieldsOf("proxy-defaults"), Config: open({ protocol: text }) }),
  mesh: object({
    ...fieldsOf("mesh"),
    HTTP: object({
      SanitizeXForwardedClientCert: boolean,
      Incoming: object({
        RequestNormalization: object({
          InsecureDisablePathNormalization: boolean,
          MergeSlashes: boolean,
          PathWithEscapedSlashesAction: text,
          HeadersWithUnderscoresAction: text
        })
      })
    })
  })
}

/** What an agent takes, and what it takes without any use for it here. */
const kinds: ReadonlySet<string> = new Set([...ConfigEntry.kinds, "control-plane-request-limit"])
