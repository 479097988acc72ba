/**
 * A mesh in a file: services and config entries in the format of Consul's own agent configuration
 * (`service`, `services`, `config_entries.bootstrap`, a few settings of the agent), plus `applications`, the commands
 * that start the programs behind the services. Several files add up.
 */
import { Effect, Result, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import * as Json from "../Json.ts"

/** How one application is started. */
const ApplicationFields = Schema.Struct({
  /** The program and its arguments. `node` means the Node that runs this. */
  command: Schema.NonEmptyArray(Schema.NonEmptyString),
  /** Added to the environment of `effect-mesh up`. */
  env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** Relative to the file. Default: the file's folder. */
  cwd: Schema.optionalKey(Schema.String)
})

const File = Schema.Struct({
  datacenter: Schema.optionalKey(Schema.NonEmptyString),
  node_name: Schema.optionalKey(Schema.NonEmptyString),
  default_intention_policy: Schema.optionalKey(Schema.Literals(["allow", "deny"])),
  service: Schema.optionalKey(Schema.JsonObject),
  services: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  config_entries: Schema.optionalKey(Schema.Struct({ bootstrap: Schema.Array(Schema.JsonObject) })),
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
  readonly services: ReadonlyArray<Schema.JsonObject>
  readonly configEntries: ReadonlyArray<Schema.JsonObject>
  readonly applications: ReadonlyArray<Application>
}

/** The file cannot be used. Mend it and start again: nothing was started. */
export class InvalidFile extends Schema.TaggedError<InvalidFile>()("InvalidFile", {
  file: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.file}: ${this.why}`
}

/** Reads all files before anything is used, so that nothing half-read is started. */
export const load = (files: ReadonlyArray<string>): Effect.Effect<MeshFile, InvalidFile> =>
  Effect.gen(function*() {
    const parts: Array<MeshFile> = []
    for (const file of files) {
      const text = yield* Effect.tryPromise({
        try: () => readFile(file, "utf8"),
        catch: (cause) => new InvalidFile({ file, why: cause instanceof Error ? cause.message : String(cause) })
      })
      parts.push(yield* Effect.fromResult(parse(file, text)))
    }
    return yield* Effect.fromResult(merge(parts, files.join(", ")))
  })

export const parse = (file: string, text: string): Result.Result<MeshFile, InvalidFile> =>
  Result.gen(function*() {
    const invalid = (why: string) => new InvalidFile({ file, why })
    const json = yield* Result.mapError(Json.parse(text), (why) => invalid(`not JSON: ${why}`))
    const decoded = yield* Result.mapError(
      Schema.decodeUnknownResult(File, { onExcessProperty: "error", errors: "all" })(json),
      (error) => invalid(error.message)
    )
    const folder = dirname(resolve(file))
    return {
      datacenter: decoded.datacenter,
      nodeName: decoded.node_name,
      defaultIntentionPolicy: decoded.default_intention_policy,
      services: [...(decoded.service === undefined ? [] : [decoded.service]), ...(decoded.services ?? [])],
      configEntries: decoded.config_entries?.bootstrap ?? [],
      applications: Object.entries(decoded.applications ?? {}).map(([service, application]) => ({
        service,
        command: application.command,
        env: application.env ?? {},
        cwd: resolve(folder, application.cwd ?? ".")
      }))
    }
  })

/** Settings of the agent may be given once; the rest adds up. */
const merge = (parts: ReadonlyArray<MeshFile>, file: string): Result.Result<MeshFile, InvalidFile> => {
  const once = <K extends "datacenter" | "nodeName" | "defaultIntentionPolicy">(key: K): MeshFile[K] =>
    parts.map((part) => part[key]).find((value) => value !== undefined)
  const applications = parts.flatMap((part) => part.applications)
  const twice = applications.find((a, i) => applications.findIndex((b) => b.service === a.service) !== i)
  if (twice !== undefined) {
    return Result.fail(new InvalidFile({ file, why: `the application of ${twice.service} is given twice` }))
  }
  return Result.succeed({
    datacenter: once("datacenter"),
    nodeName: once("nodeName"),
    defaultIntentionPolicy: once("defaultIntentionPolicy"),
    services: parts.flatMap((part) => part.services),
    configEntries: parts.flatMap((part) => part.configEntries),
    applications
  })
}
