/** `effect-mesh policy check SRC DST`: one decision, explained. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Decision from "../../intention/Decision.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import * as Needs from "../../intention/Needs.ts"
import * as PathNormalization from "../../intention/PathNormalization.ts"
import * as Callers from "../../policy/Callers.ts"
import * as Explanation from "../../policy/Explanation.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"

export const check = Command.make(
  "check",
  {
    ...Input.context,
    ...Input.source,
    method: Flag.String("method").pipe(Flag.withDescription("Method of the request; default GET"), Flag.optional),
    path: Flag.String("path").pipe(Flag.withDescription("Path of the request; default /"), Flag.optional),
    header: Flag.String("header").pipe(
      Flag.withDescription("A header of the request, \"Name: value\"; may be repeated"),
      Flag.atLeast(0)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    source: Argument.String("source").pipe(Argument.withDescription("The caller: web, team/web or peer:east/web")),
    destination: Argument.String("destination").pipe(Argument.withDescription("The service that is called"))
  },
  Effect.fn("cli.policy.check")(function*(options) {
    const given = yield* Input.load(options, options.policy)
    // Whoever is asked about counts as known.
    const policy = Policy.make({
      ...given,
      services: [...given.services, options.destination, ...named(options.source)]
    })
    const [mesh, other] = Policy.possible(policy).map((each) => Mesh.make(each)) as [Mesh.Mesh, Mesh.Mesh | undefined]
    const destination = yield* Input.destination(policy, options.destination)
    const caller = Callers.classes([policy]).find((each) => Callers.covers(options.source, each))
    if (caller === undefined) {
      return yield* new PolicyError({
        why: `no caller is named ${options.source}: write web, team/web or peer:east/web`
      })
    }
    const isRequest = Option.isSome(options.method) || Option.isSome(options.path) || options.header.length > 0
    const answer = mesh.answer(caller, destination)
    if (!isRequest && answer._tag === "Decided" && answer.verdict === "some") {
      const { groups } = Explanation.make(mesh, destination)
      const group = groups.find(({ callers }) => callers.includes(caller.label))!
      const text = options.json
        ? JSON.stringify(Explanation.groupToJson(group), null, 2)
        : `It depends on the request: give --method, --path or --header.\n${Explanation.formatGroup(group).join("\n")}`
      return yield* Answer.give(text, Answer.unwelcome)
    }
    const path = PathNormalization.normalize(Option.getOrElse(options.path, () => "/"), policy.normalization)
    if (path._tag === "Rejected") {
      return yield* Answer.give(`denied: the proxy answers 400, as ${path.why}`, Answer.unwelcome)
    }
    const headers = yield* Effect.forEach(options.header, (line) => {
      const colon = line.indexOf(":")
      return colon > 0
        ? Effect.succeed(
          [line.slice(0, colon).trim(), Buffer.from(line.slice(colon + 1).trim()).toString("latin1")] as const
        )
        : new PolicyError({ why: `--header ${JSON.stringify(line)} has no colon: write --header "Name: value"` })
    })
    const request = HttpRequest.make(Option.getOrElse(options.method, () => "GET"), path.path)
    const asked = { method: request.method, path: request.path, headers, tokens: [] }
    const decision = mesh.ask(caller, destination, asked)
    const otherwise = other?.ask(caller, destination, asked)
    const isOpen = otherwise !== undefined && otherwise.allowed !== decision.allowed
    const remarks = isOpen
      ? [...Policy.remarks(policy), `If it is ${other!.policy.defaultPolicy}: ${Decision.explain(otherwise)}`]
      : []
    const needs = Needs.needs(decision)
    const text = options.json
      ? JSON.stringify(
        {
          ...Decision.toJson(decision),
          ...(needs.length === 0 ? {} : { needs }),
          ...(remarks.length === 0 ? {} : { remarks })
        },
        null,
        2
      )
      : [Decision.explain(decision), ...needs.map((need) => `  it would have needed: ${need}`), ...remarks].join("\n")
    // Allowed is said only of what is allowed whichever default holds.
    return yield* Answer.give(text, decision.allowed && !isOpen ? 0 : Answer.unwelcome)
  })
).pipe(
  Command.withDescription(
    "Say whether SOURCE may call DESTINATION, and by which rule. Exit codes: 0 allowed, 2 denied (or it depends on the " +
      "request, and none is given), 1 error, 3 not everything could be read."
  ),
  Command.withExamples([
    { command: "effect-mesh policy check web api", description: "Ask about the intentions of the running agent" },
    {
      command: "effect-mesh policy check -f policy/ web api --method POST --path /v1/orders",
      description: "Ask about a request, and files"
    }
  ])
)

/** Callers of peers are no services of this mesh. */
const named = (source: string): ReadonlyArray<string> => /[:*]/.test(source) ? [] : [source]
