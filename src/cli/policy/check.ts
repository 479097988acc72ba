/** `effect-mesh policy check SRC DST`: one decision, explained. */
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Decision from "../../intention/Decision.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import * as Needs from "../../intention/Needs.ts"
import * as PathNormalization from "../../intention/PathNormalization.ts"
import type * as Analysis from "../../policy/space/Analysis.ts"
import type * as Callers from "../../policy/Callers.ts"
import * as Detours from "../../policy/question/Detours.ts"
import * as Explanation from "../../policy/question/Explanation.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Witnesses from "../../policy/space/Witnesses.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"
import * as RequestHeader from "./RequestHeader.ts"
import * as Tokens from "./Tokens.ts"

export const check = Command.make(
  "check",
  {
    ...Input.context,
    ...Input.source,
    method: Flag.String("method").pipe(Flag.withDescription("Method of the request; default GET"), Flag.optional),
    path: Flag.String("path").pipe(Flag.withDescription("Path of the request; default /"), Flag.optional),
    header: RequestHeader.flag,
    ...Tokens.flags,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    source: Argument.String("source").pipe(Argument.withDescription("The caller: web, team/web or peer:east/web")),
    destination: Argument.String("destination").pipe(Argument.withDescription("The service that is called"))
  },
  Effect.fn("cli.policy.check")(function*(options) {
    const given = yield* Input.load(options, options.policy)
    const destination = yield* Input.destination(given, options.destination)
    const policy = yield* Input.withCaller(given, options.source)
    const [mesh, other] = Policy.possible(policy).map((each) => Mesh.make(each)) as [Mesh.Mesh, Mesh.Mesh | undefined]
    const caller = yield* Input.caller(policy, options.source)
    const isRequest = Option.isSome(options.method) || Option.isSome(options.path) || options.header.length > 0 ||
      options.claim.length > 0 || options.tokenPayload.length > 0
    const answers = [mesh, ...other === undefined ? [] : [other]].map((each) => each.answer(caller, destination))
    const undecided = answers.find((each) => each._tag === "Undecided")
    if (!isRequest && undecided !== undefined) {
      return yield* new PolicyError({
        why:
          `it depends on the request, and could not be decided for all requests: ${undecided.why}. Ask about one: give ` +
          "--method, --path, --header or --claim"
      })
    }
    const answer = answers.find((each) => each._tag === "Decided" && each.verdict === "some") ?? answers[0]!
    if (!isRequest && answer._tag === "Decided" && answer.verdict === "some") {
      const { groups } = Explanation.make(answer === answers[0] ? mesh : other!, destination)
      const group = groups.find(({ callers }) => callers.includes(caller.label))!
      const text = options.json
        ? JSON.stringify(Explanation.groupToJson(group), null, 2)
        : `It depends on the request: give --method, --path, --header or --claim.\n${
          Explanation.formatGroup(group).join("\n")
        }`
      return yield* Answer.give(text, Answer.unwelcome)
    }
    const path = PathNormalization.normalize(Option.getOrElse(options.path, () => "/"), policy.normalization)
    if (path._tag === "Rejected") {
      return yield* Answer.give(`denied: the proxy answers 400, as ${path.why}`, Answer.unwelcome)
    }
    const headers = yield* RequestHeader.read(options.header)
    const providers = Tokens.providers(policy.intentions)
    const { notes: ofTokens, tokens } = yield* Tokens.read(options, providers, yield* Clock.currentTimeMillis)
    const request = HttpRequest.make(Option.getOrElse(options.method, () => "GET"), path.path)
    const asked = { method: request.method, path: request.path, headers, tokens }
    const decision = mesh.ask(caller, destination, asked)
    const otherwise = other?.ask(caller, destination, asked)
    const isOpen = otherwise !== undefined && otherwise.allowed !== decision.allowed
    const remarks = isOpen
      ? [...Policy.remarks(policy), `If it is ${other!.policy.defaultPolicy}: ${Decision.explain(otherwise)}`]
      : []
    const needs = Needs.needs(decision, {
      caller: options.source,
      destination: destination.label,
      request: mesh.authorizer(destination).http ? Witnesses.toRequest(asked) : undefined,
      tokens: Witnesses.toTokens(asked),
      defaultPolicy: mesh.policy.defaultPolicy
    })
    const notes = [
      ...ofTokens,
      ...bearer(decision, asked),
      ...linesOf(asked),
      ...byConnection(mesh, caller, destination, decision),
      ...Option.isSome(options.path) ? detours(mesh, caller, destination, asked, decision) : []
    ]
    const text = options.json
      ? JSON.stringify(
        {
          ...Decision.toJson(decision),
          ...(needs.length === 0 ? {} : { needs }),
          ...(notes.length === 0 ? {} : { notes }),
          ...(remarks.length === 0 ? {} : { remarks })
        },
        null,
        2
      )
      : [
        Decision.explain(decision),
        ...needs.map((need) => `  it would have needed: ${need}`),
        ...notes.map((note) => `  note: ${note}`),
        ...remarks
      ].join("\n")
    // The answer is allowed only if both defaults allow.
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
    },
    {
      command: "effect-mesh policy check web api --path /v1/orders --claim okta:role=admin",
      description: "Ask about a request with a token of okta"
    }
  ])
)

/** A user who gives a token in a header expects it to count. */
const bearer = ({ by }: Decision.Decision, { headers, tokens }: Analysis.Witness): ReadonlyArray<string> =>
  by !== undefined && tokens.length === 0 && Tokens.providers([by.intention]).length > 0 &&
    headers.some(([name, value]) => name.toLowerCase() === "authorization" && /^bearer /i.test(value))
    ? [
      "the header authorization is compared as text here, and no token is read from it. Say what is in the token with " +
      "--claim, or give it with --token-payload"
    ]
    : []

/** A token admits a request where requests are authorized, and not where connections are. */
const byConnection = (
  mesh: Mesh.Mesh,
  caller: Callers.Caller,
  destination: Policy.Destination,
  decision: Decision.Decision
): ReadonlyArray<string> => {
  const { connection, http } = mesh.authorizer(destination)
  const judged = connection(caller.id)
  return http && decision.allowed && judged.because === "needs-http" && judged.by?.action === "allow"
    ? [`at a server that judges connections, as MeshSocketServer does, it is ${Decision.explain(judged)}`]
    : []
}

const linesOf = ({ headers }: Analysis.Witness): ReadonlyArray<string> => {
  const names = headers.map(([name]) => name.toLowerCase())
  const several = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))]
  return several.length === 0 ? [] : [
    `the lines of ${
      several.join(" and ")
    } are read joined by commas, and one by one, as sidecars differ on it: the request is ` +
    "denied if either reading is"
  ]
}

/** Whether another spelling of the path gets another decision: many servers answer both alike. */
const detours = (
  mesh: Mesh.Mesh,
  caller: Callers.Caller,
  destination: Policy.Destination,
  asked: Analysis.Witness,
  decision: Decision.Decision
): ReadonlyArray<string> => {
  if (!mesh.authorizer(destination).http) return []
  const { normalization } = mesh.policy
  const spellings = decision.allowed
    ? Detours.readings(asked.path, normalization)
    : Detours.around(asked.path, normalization)
  const kinds = new Set<string>()
  return spellings.flatMap((detour) => {
    const there = mesh.ask(caller, destination, { ...asked, path: detour.path })
    if (there.allowed === decision.allowed || kinds.has(detour.kind)) return []
    // A path that no rule mentions does not get around a rule.
    if (decision.allowed && there.because !== "permission") return []
    if (!decision.allowed && decision.because !== "permission") return []
    kinds.add(detour.kind)
    return [
      decision.allowed
        ? `many servers take this path for ${Detours.show(detour)} (${detour.kind}), and that is ${
          Decision.explain(there)
        }`
        : `${Detours.show(detour)}, which many servers take for the same path (${detour.kind}), is ${
          Decision.explain(there)
        }`
    ]
  })
}
