/** Which gateway it is: one that is registered at the agent, or one that flags describe and that is registered while it runs. */
import { Duration, Effect, Option, Result } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as AgentService from "../../consul/AgentService.ts"
import * as KeptRegistration from "../../mesh/KeptRegistration.ts"
import * as GatewayRegistration from "../../watch/GatewayRegistration.ts"
import { hostPort } from "../proxy/AdHoc.ts"
import * as Registered from "../proxy/Registered.ts"
import type * as Flags from "./Flags.ts"

type Options = Pick<
  Flags.Options,
  "proxyId" | "service" | "register" | "address" | "wanAddress" | "bindAddress" | "startTimeout"
>

/** Fails unless there is one, for people. */
export const kindOf = (
  { api, mesh, terminating }: Pick<Flags.Options, "mesh" | "terminating" | "api">
): Result.Result<GatewayRegistration.Kind, Registered.UsageError> =>
  Number(api) + Number(mesh) + Number(terminating) === 1
    ? Result.succeed(mesh ? "mesh-gateway" : terminating ? "terminating-gateway" : "api-gateway")
    : Result.fail(
      new Registered.UsageError({ why: "which kind of gateway? Give one of --mesh, --terminating and --api" })
    )

/** The ID of the one that is registered. Waits for one that is yet to come. */
export const find = (
  kind: GatewayRegistration.Kind,
  { proxyId, service, startTimeout }: Options
): Effect.Effect<string, Registered.Failure, ConsulClient.ConsulClient> =>
  Option.isSome(proxyId)
    ? Effect.succeed(proxyId.value)
    : Registered.patiently(only(kind, Option.getOrUndefined(service)), startTimeout)

const only = Effect.fnUntraced(function*(kind: GatewayRegistration.Kind, service: string | undefined) {
  const consul = yield* ConsulClient.ConsulClient
  const filter = `Kind == ${JSON.stringify(kind)}`
  const { body } = yield* consul.call(
    "GET /v1/agent/services",
    (api) => api.agent.services({ query: { filter } })
  )
  const found = Object.values(body).filter((each) => service === undefined || each.Service === service)
  const [first, ...others] = found
  const named = service === undefined ? "" : ` named ${service}`
  if (first === undefined) {
    return yield* new Registered.NotRegistered({
      why: `no ${kind}${named} is registered at the agent at ${consul.address}, or the token may not read it ` +
        "(service:read): register one, or give --register and --address"
    })
  }
  return others.length === 0 ? first.ID : yield* new Registered.UsageError({
    why: `there are ${found.length} of the kind ${kind}${named} at the agent (${
      found.map(({ ID }) => ID).join(", ")
    }): ` +
      "give --proxy-id"
  })
})

export interface Described {
  readonly registration: GatewayRegistration.Registration
  readonly definition: AgentService.ServiceRegistration & { readonly ID: string }
}

/** What flags describe; undefined: they name a registration. */
export const described = (
  kind: GatewayRegistration.Kind,
  options: Options
): Result.Result<Described | undefined, Registered.UsageError> =>
  Result.mapError(parse(kind, options), (why) => new Registered.UsageError({ why }))

const parse = (
  kind: GatewayRegistration.Kind,
  { address, bindAddress, proxyId, register, service, wanAddress }: Options
): Result.Result<Described | undefined, string> =>
  Result.gen(function*() {
    if (!register) {
      const given = [["--address", address], ["--wan-address", wanAddress], ["--bind-address", bindAddress]] as const
      const first = given.find(([, value]) => Option.isSome(value))
      return first === undefined
        ? undefined
        : yield* Result.fail(`${first[0]} is for a gateway that is registered here: give --register with it`)
    }
    if (Option.isNone(address)) {
      return yield* Result.fail("--register needs to know where the gateway is reached: give --address [HOST]:PORT")
    }
    const at = yield* hostPort("--address", address.value, "0.0.0.0")
    const bind = Option.isNone(bindAddress) ? at : yield* hostPort("--bind-address", bindAddress.value, "0.0.0.0")
    const wan = Option.isNone(wanAddress) ? undefined : yield* hostPort("--wan-address", wanAddress.value, "0.0.0.0")
    const name = Option.getOrElse(service, () => kind)
    const id = Option.getOrElse(proxyId, () => name)
    const lan = { Address: isAny(at.host) ? "" : at.host, Port: at.port }
    return {
      registration: {
        ...GatewayRegistration.from(
          { ID: id, Service: name, Address: bind.host, Port: bind.port, TaggedAddresses: {} },
          kind
        )
      },
      definition: {
        Kind: kind,
        Name: name,
        ID: id,
        ...lan,
        ...(wan === undefined ? {} : { TaggedAddresses: { lan, wan: { Address: wan.host, Port: wan.port } } }),
        Check: { CheckID: checkOf(id), Name: "gateway heartbeat", TTL: `${ttlSeconds}s`, Status: "passing" }
      }
    }
  })

/** Without a word for so long, the agent takes it for dead. */
const ttlSeconds = 30

const checkOf = (id: string): string => `${id}-ttl`

const isAny = (host: string): boolean => ["0.0.0.0", "::"].includes(host)

/** Has the agent know of it until the scope closes. */
export const keep = ({ definition }: Described) =>
  KeptRegistration.make({
    definition,
    check: {
      id: checkOf(definition.ID),
      period: Duration.seconds(ttlSeconds / 3),
      tell: Effect.succeed({ status: "passing", output: "" }),
      last: () => "passing"
    }
  })
