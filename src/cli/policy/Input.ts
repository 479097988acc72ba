/** What `effect-mesh policy` analyses: files and folders of config entries, or what a running agent has stored. */
import { Console, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import * as ConsulError from "../../consul/ConsulError.ts"
import * as Entries from "../../policy/source/Entries.ts"
import * as Callers from "../../policy/Callers.ts"
import * as Names from "../../policy/Names.ts"
import * as Nearest from "../../policy/Nearest.ts"
import * as Document from "../../policy/source/Document.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Consul from "../consul.ts"
import * as Files from "./Files.ts"
import { Incomplete, PolicyError } from "./PolicyError.ts"
import * as Stored from "./Stored.ts"

/** Flags that every command shares. */
export const context = {
  ...Consul.flags,
  defaultPolicy: Flag.Literals("default-policy", ["allow", "deny"]).pipe(
    Flag.withDescription("The answer if no intention matches; default: the setting of the agent or a file"),
    Flag.optional
  ),
  service: Flag.String("service").pipe(
    Flag.withDescription("A service that exists although nothing else names it; may be repeated"),
    Flag.withMetavar("NAME"),
    Flag.atLeast(0)
  ),
  services: Flag.Path("services").pipe(
    Flag.withDescription("File with such names, one a line; may be repeated"),
    Flag.withMetavar("FILE"),
    Flag.atLeast(0)
  ),
  protocol: Flag.Literals("protocol", ["tcp", "http", "http2", "grpc"]).pipe(
    Flag.withDescription("Protocol of services whose entries give none"),
    Flag.optional
  )
}

export const source = {
  // No path: that would make a file of `-`.
  policy: Flag.String("policy").pipe(
    Flag.withAlias("f"),
    Flag.withMetavar("PATH"),
    Flag.withDescription(
      "File or folder of config entries, or - for standard input; may be repeated. Without it the agent is asked"
    ),
    Flag.atLeast(0)
  )
}

/** For commands that can show a part. */
export const partial = {
  incomplete: Flag.Boolean("incomplete").pipe(
    Flag.withDescription("If not everything could be read, show the known part, marked as incomplete"),
    Flag.withDefault(false)
  )
}

export type Context = Consul.Flags & {
  readonly defaultPolicy: Option.Option<"allow" | "deny">
  readonly service: ReadonlyArray<string>
  readonly services: ReadonlyArray<string>
  readonly protocol: Option.Option<string>
}

/**
 * From these paths, or from the agent if there are none. Fails if a part is missing, unless `partial`. If no source gives the
 * default policy, `basis` says that it is assumed.
 */
export const load = Effect.fnUntraced(function*(
  given: Context,
  paths: ReadonlyArray<string>,
  partial: { readonly incomplete: boolean } = { incomplete: false }
) {
  const policy = yield* read(given, paths)
  const { missing } = policy.basis
  return missing.length === 0 || partial.incomplete ? policy : yield* new Incomplete({ missing })
})

/** `consul` stands for the running agent. A change of entries changes no default: where an agent is asked, its own holds for both. */
export const loadPair = Effect.fnUntraced(function*(options: Context, before: string, after: string) {
  if ([before, after].includes("consul") && existsSync("consul")) {
    return yield* new PolicyError({
      why:
        "\"consul\" stands for the running agent, and there is a file or folder of that name too: write ./consul for that, " +
        "or ask from another folder"
    })
  }
  const load1 = (path: string) => load(options, path === "consul" ? [] : [path])
  const [old, fresh] = [yield* load1(before), yield* load1(after)]
  const agent = before === "consul" ? old : after === "consul" ? fresh : undefined
  const under = ({ basis, ...policy }: Policy.Policy): Policy.Policy => ({
    ...policy,
    defaultPolicy: agent?.defaultPolicy ?? policy.defaultPolicy,
    basis: { ...basis, defaultPolicy: agent?.basis.defaultPolicy ?? basis.defaultPolicy }
  })
  return { before: under(old), after: under(fresh) }
})

const read = Effect.fnUntraced(function*(given: Context, paths: ReadonlyArray<string>) {
  const listed = yield* Effect.forEach(given.services, (file) => Files.attempt(file, () => readFile(file, "utf8")))
  const names = listed.flatMap((text) => text.split("\n")).map((line) => line.replace(/#.*/, "").trim()).filter(Boolean)
  const options = { ...given, service: [...given.service, ...names] }
  return yield* paths.length > 0
    ? Effect.flatMap(
      Effect.forEach(paths, Files.read),
      (found) =>
        assemble(options, found.flatMap(({ sources }) => sources), { missing: found.flatMap(({ missing }) => missing) })
    )
    : Effect.flatMap(Stored.read(options.service), (found) => assemble(options, found.sources, found)).pipe(
      Effect.catchIf(isDenied, (error) => new Incomplete({ missing: [error.message] })),
      Effect.provide(Consul.layer(options))
    )
})

/** Nothing at all, or, where the token expires in between, no more. */
const isDenied = (error: unknown): error is ConsulError.ConsulError =>
  error instanceof ConsulError.ConsulError && error.reason._tag === "PermissionDenied"

const assemble = (
  options: Context,
  sources: ReadonlyArray<Entries.Source>,
  known: Stored.Stored | Pick<Stored.Stored, "missing">
): Effect.Effect<Policy.Policy, PolicyError> =>
  Effect.fromResult(Entries.read(sources)).pipe(
    Effect.mapError((problems) =>
      new PolicyError({ why: `nothing was analysed:\n${problems.map(Document.format).join("\n")}` })
    ),
    Effect.tap(({ notes }) => Effect.forEach(notes, (note) => Console.error(Document.format(note)))),
    Effect.map((entries) => {
      const agent = "sources" in known ? known : undefined
      const said = Option.getOrUndefined(options.defaultPolicy) ??
        (agent === undefined ? entries.defaultPolicy : agent.defaultPolicy)
      return Policy.make({
        ...entries,
        defaultPolicy: said ?? "deny",
        defaultProtocol: entries.defaultProtocol ?? Option.getOrUndefined(options.protocol),
        services: [...entries.services, ...agent?.services ?? [], ...options.service],
        basis: { defaultPolicy: said === undefined ? "assumed" : "said", missing: known.missing }
      })
    })
  )

/** The service with this name, or a sentence about why there is none. */
export const destination = (policy: Policy.Policy, name: string): Effect.Effect<Policy.Destination, PolicyError> => {
  const all = Policy.destinations([policy])
  const found = all.find((each) => each.label.toLowerCase() === name.toLowerCase())
  return found === undefined
    ? unknownName(name, [...all.filter(({ other }) => !other).map(({ label }) => label), ...callersOf(policy)])
    : Effect.succeed(found)
}

/** With this caller among the services, where some intention names it as a destination only. */
export const withCaller = (policy: Policy.Policy, name: string): Effect.Effect<Policy.Policy, PolicyError> =>
  Policy.destinations([policy]).some(({ label, other }) => !other && label === name)
    ? Effect.succeed({ ...policy, services: [...policy.services, Names.parse(name)] })
    : Effect.as(caller(policy, name), policy)

/** The caller with this name, or a sentence about why there is none. Letter case matters for callers. */
export const caller = (policy: Policy.Policy, name: string): Effect.Effect<Callers.Caller, PolicyError> => {
  if (name.includes("*")) {
    return new PolicyError({
      why:
        `${name} is not a caller: name one, such as web, team/web or peer:east/web; explain and matrix show all callers`
    })
  }
  const found = Callers.classes([policy]).find((each) => !each.other && Callers.covers(name, each))
  return found === undefined
    ? unknownName(name, [
      ...callersOf(policy),
      ...Policy.destinations([policy]).filter(({ other }) => !other).map(({ label }) => label)
    ])
    : Effect.succeed(found)
}

const callersOf = (policy: Policy.Policy): ReadonlyArray<string> =>
  Callers.classes([policy]).filter(({ other }) => !other).map(({ label }) => label)

const unknownName = (name: string, known: ReadonlyArray<string>) =>
  new PolicyError({
    why: `no service and no intention is named ${name}${Nearest.ask(name, known) || "."} If it exists, say so with ` +
      (name.startsWith("peer:") ? "an intention that names it" : `--service ${name}`)
  })
