/** `effect-mesh route SERVICE METHOD PATH`: where a request goes, and why. */
import { Effect, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import * as Head from "../http/h1/Head.ts"
import * as Bytes from "../intention/Bytes.ts"
import * as HttpRequest from "../intention/HttpRequest.ts"
import * as HttpRoutes from "../route/HttpRoutes.ts"
import * as RouteExplanation from "../route/RouteExplanation.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Consul from "./consul.ts"
import * as Answer from "./policy/Answer.ts"
import * as Files from "./policy/Files.ts"
import * as Input from "./policy/Input.ts"
import { PolicyError } from "./policy/PolicyError.ts"
import * as RequestHeader from "./policy/RequestHeader.ts"
import * as MeshFile from "./up/MeshFile.ts"

export const route = Command.make(
  "route",
  {
    ...Consul.flags,
    ...Input.source,
    header: RequestHeader.flag,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    service: Argument.String("service").pipe(Argument.withDescription("The service that is called")),
    method: Argument.String("method").pipe(
      Argument.withDescription("GET, POST, …; default GET"),
      Argument.withDefault("GET")
    ),
    path: Argument.String("path").pipe(
      Argument.withDescription("With its query, as it is sent; default /"),
      Argument.withDefault("/")
    )
  },
  Effect.fn("cli.route")(function*(options) {
    yield* sayable(options)
    const headers = yield* RequestHeader.read(options.header)
    const request = HttpRequest.fromRaw(options.method, Bytes.fromText(options.path), headers.flat())
    const explanation = yield* options.policy.length > 0
      ? Effect.map(
        Effect.flatMap(fromFiles(options.policy, options.service), compile),
        (routes) => RouteExplanation.make(routes, request)
      )
      : Effect.provide(fromAgent(options.service, request), Consul.layer(options))
    const text = options.json
      ? JSON.stringify(RouteExplanation.toJson(explanation), null, 2)
      : RouteExplanation.format(explanation)
    return yield* Answer.give(text, explanation.taken === undefined ? Answer.unwelcome : 0)
  })
).pipe(
  Command.withDescription(
    "Tell where a request goes: which route of the service-router takes it and why none before it does, what is changed on the " +
      "way, how it is split, and which targets it reaches. From the agent, or from files of config entries. Exit codes: 0 " +
      "done, 1 error, 2 no route takes it."
  ),
  Command.withShortDescription("Tell where a request goes, and why"),
  Command.withExamples([
    { command: "effect-mesh route api GET /v2/orders --header \"x-tester: yes\"", description: "As the agent has it" },
    { command: "effect-mesh route api POST /orders -f mesh/", description: "As these files would have it" }
  ])
)

const compile = (chain: DiscoveryChain.Chain): Effect.Effect<HttpRoutes.HttpRoutes, PolicyError> =>
  ["http", "http2", "grpc"].includes(chain.Protocol)
    ? Effect.mapError(Effect.fromResult(HttpRoutes.compile(chain)), (why) => new PolicyError({ why }))
    : new PolicyError({
      why:
        `${chain.ServiceName} speaks ${chain.Protocol}: its connections are routed, not requests. If it speaks HTTP, ` +
        "write a service-defaults entry with Protocol \"http\""
    })

/** The instances as well, as health checks have them now. */
const fromAgent = Effect.fnUntraced(function*(service: string, request: HttpRequest.HttpRequest) {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call(
    `GET /v1/discovery-chain/${service}`,
    (api) => api.discoveryChain.read({ params: { service }, query: {} })
  )
  const routes = yield* compile(body.Chain)
  const targets = routes.find(request)?.legs.flatMap(({ to }) => to.targets) ?? []
  const instances = yield* Effect.forEach(
    targets,
    (target) =>
      Effect.map(
        consul.call(`GET /v1/health/connect/${target.service}`, (api) =>
          api.health.connect({
            params: { service: target.service },
            query: { dc: target.datacenter, ...(target.filter === "" ? {} : { filter: target.filter }) }
          })),
        ({ body: entries }) =>
          [
            target.id,
            entries.flatMap((entry) => Endpoints.toEndpoint(entry, target, body.Chain.Datacenter))
          ] as const
      ),
    { concurrency: 8 }
  )
  return RouteExplanation.make(routes, request, new Map(instances))
})

/** What no client could ask has no answer: it is a path in the place of a method, or one that the shell has split. */
const sayable = (
  { method, path }: { readonly method: string; readonly path: string }
): Effect.Effect<void, PolicyError> =>
  !Head.methods.has(method)
    ? new PolicyError({
      why: `${JSON.stringify(method)} is no method that sidecars take, such as GET or POST: ` +
        "write effect-mesh route SERVICE METHOD PATH"
    })
    : !/^(?:\/[^\s#]*|\*)$/.test(path)
    ? new PolicyError({
      why: `${
        JSON.stringify(path)
      } is no path that a request can have: it begins with a slash, and has no blank and no #`
    })
    : Effect.void

const fromFiles = Effect.fnUntraced(function*(
  paths: ReadonlyArray<string>,
  service: string
): Effect.fn.Return<DiscoveryChain.Chain, PolicyError> {
  const found = yield* Effect.forEach(paths, Files.read)
  const missing = found.flatMap(({ missing }) => missing)
  if (missing.length > 0) return yield* new PolicyError({ why: missing.join("\n") })
  const files = yield* Effect.forEach(
    found.flatMap(({ sources }) => sources),
    ({ file, text }) =>
      Effect.mapError(
        Effect.fromResult(MeshFile.parse(file, text)),
        ({ message }) => new PolicyError({ why: message })
      )
  )
  // The compiler is the development agent's, which nobody needs who asks a running one.
  const ChainsOf = yield* Effect.promise(() => import("../agent/chain/ChainsOf.ts"))
  const chain = Result.flatMap(
    ChainsOf.make(files.flatMap(({ configEntries }) => configEntries)),
    (chains) => chains(service)
  )
  return yield* Effect.mapError(Effect.fromResult(chain), (why) => new PolicyError({ why }))
})
