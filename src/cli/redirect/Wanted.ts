/** What the agent says of a proxy, as far as it decides about rules. */
import { isIPv4 } from "node:net"
import { Effect, Option, Schema } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import { UsageError } from "../proxy/Registered.ts"
import type * as Rules from "./Rules.ts"

/** Of the entry `mesh`. */
const Mesh = Schema.Struct({
  TransparentProxy: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ MeshDestinationsOnly: Schema.optionalKey(Schema.Boolean) }))
  )
})

export interface Wanted {
  readonly inboundPort: number | undefined
  /** Ports of the proxy that are for others than the mesh. */
  readonly exposedPorts: ReadonlyArray<number>
  readonly destinations: ReadonlyArray<Rules.Destination & { readonly service: string }>
  readonly meshOnly: boolean
  /** What is not redirected, and why: a line for each. */
  readonly left: ReadonlyArray<string>
}

export const ask = Effect.fnUntraced(function*(
  proxyId: string
): Effect.fn.Return<Wanted, ConsulError.ConsulError | UsageError, ConsulClient.ConsulClient> {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call(
    `GET /v1/agent/service/${proxyId}`,
    (api) => api.agent.service({ params: { id: proxyId }, query: {} })
  )
  const registration = yield* Effect.mapError(
    Effect.fromResult(ProxyRegistration.toRegistration(body)),
    (why) => new UsageError({ why })
  )
  const { body: entries } = yield* consul.call(
    "GET /v1/config/mesh",
    (api) => api.config.list({ params: { kind: "mesh" }, query: {} })
  )
  const destinations: Array<Wanted["destinations"][number]> = []
  const left: Array<string> = []
  for (const upstream of registration.upstreams) {
    const leave = (why: string) => left.push(`the upstream ${upstream.id} ${why}`)
    if (destinations.some(({ service }) => service === upstream.service)) {
      leave("is another one of the same service: its virtual address leads to the first")
    } else if (upstream.query === true) leave("is a prepared query, which has no virtual address")
    else if (upstream.datacenter !== undefined) leave("is of another datacenter, whose virtual addresses are others")
    else if (!("port" in upstream.bind)) leave("listens on a socket file")
    else if (!isName(upstream.service)) leave("has a name that no host can have")
    else {
      const host = reachedAt(upstream.bind.host)
      if (host === undefined) leave(`listens on ${JSON.stringify(upstream.bind.host)}, which is no address of IPv4`)
      else {
        const address = yield* virtualAddress(consul, upstream.service)
        if (address === undefined) leave("has no virtual address yet: no instance of it is in the mesh")
        else destinations.push({ service: upstream.service, address, host, port: upstream.bind.port })
      }
    }
  }
  return {
    inboundPort: registration.listen?.port,
    exposedPorts: registration.exposed.map(({ listen }) => listen.port),
    destinations,
    meshOnly: entries.some((entry) =>
      Option.exists(
        Schema.decodeUnknownOption(Mesh)(entry),
        ({ TransparentProxy }) => TransparentProxy?.MeshDestinationsOnly === true
      )
    ),
    left
  }
})

/** Whoever registers a proxy writes these two; they become rules of the kernel, and lines of a hosts file. */
export const isName = (text: string): boolean => /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text)

/** Where this machine reaches what listens on `host`. Undefined: a rule can not say it. */
export const reachedAt = (host: string): string | undefined =>
  host === "0.0.0.0" || host === "::" || host === "localhost" ? "127.0.0.1" : isIPv4(host) ? host : undefined

const virtualAddress = (consul: ConsulClient.ConsulClient["Service"], service: string) =>
  Effect.map(
    consul.call(
      `GET /v1/health/connect/${service}`,
      (api) => api.health.connect({ params: { service }, query: {} })
    ),
    ({ body }) => body.map(({ Service }) => Service.TaggedAddresses["consul-virtual"]?.Address).find(isVirtual)
  )

const isVirtual = (address: string | undefined): address is string =>
  address !== undefined && /^2[45]\d(\.\d{1,3}){3}$/.test(address)
