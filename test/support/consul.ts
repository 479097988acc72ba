/**
 * An agent for integration tests: the real one at CONSUL_HTTP_ADDR under `npm run test:consul`, else a development agent of
 * the test's own. Tests may not ask which. Names are fresh, as a real agent outlives the test, and what a test writes
 * goes away with its scope.
 */
import { Effect, Layer, Schedule, type Schema } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as PreparedQuery from "../../src/consul/PreparedQuery.ts"

export { freePort } from "./ports.ts"

export const layer = process.env["TEST_REAL_CONSUL"] === undefined
  ? Layer.unwrap(
    Effect.map(
      DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" }),
      ({ address }) => ConsulClient.layer({ address })
    )
  )
  : ConsulClient.layer()

/** For programs that a test starts: the variables by which they find this agent. */
export const variables: Effect.Effect<Readonly<Record<string, string>>, never, ConsulClient.ConsulClient> = Effect.map(
  ConsulClient.ConsulClient,
  ({ address }) =>
    process.env["TEST_REAL_CONSUL"] === undefined
      ? { CONSUL_HTTP_ADDR: address }
      : Object.fromEntries(
        Object.entries(process.env).flatMap(([name, value]) =>
          name.startsWith("CONSUL_") && value !== undefined ? [[name, value] as const] : []
        )
      )
)

let names = 0

/** A name that nobody has used with this agent. */
export const fresh = (prefix: string): string => `${prefix}-${process.pid}-${Date.now().toString(36)}-${++names}`

export interface Service {
  readonly name: string
  /** Default: the name. */
  readonly id?: string
  readonly port: number
  readonly meta?: Readonly<Record<string, string>>
  readonly tags?: ReadonlyArray<string>
  readonly native?: boolean
  readonly sidecar?: {
    readonly port: number
    readonly upstreams?: ReadonlyArray<{
      readonly DestinationName: string
      readonly DestinationType?: string
      readonly LocalBindPort: number
    }>
  }
}

/** Registers for the scope. */
export const register = (service: Service) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    yield* Effect.acquireRelease(put(service), () =>
      consul.call("deregister", (api) =>
        api.agent.deregisterService({ params: { id: service.id ?? service.name }, query: {} })).pipe(
          Effect.ignore
        ))
  })

/** Registers, or replaces a registration that somebody else takes back. */
export const put = ({ id, meta, name, native, port, sidecar, tags }: Service) =>
  Effect.flatMap(ConsulClient.ConsulClient, (consul) =>
    consul.call("register", (api) =>
      api.agent.registerService({
        query: {},
        payload: {
          Name: name,
          ID: id ?? name,
          Port: port,
          Meta: meta ?? {},
          Tags: tags ?? [],
          Connect: {
            ...(native === true ? { Native: true } : {}),
            // A check of its own, as the default one keeps a sidecar critical for its first ten seconds.
            ...(sidecar === undefined ? {} : {
              SidecarService: {
                Port: sidecar.port,
                Checks: [{ Name: "always", TTL: "1h", Status: "passing" }],
                Proxy: { Upstreams: sidecar.upstreams ?? [] }
              }
            })
          }
        }
      })))

type Entry = Schema.JsonObject & { readonly Kind: string; readonly Name: string }

/** Writes a config entry for the scope. */
export const entry = (payload: Entry) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const { Kind: kind, Name: name } = payload
    yield* Effect.acquireRelease(
      consul.call("write", (api) => api.config.write({ query: {}, payload })),
      () => consul.call("delete", (api) => api.config.delete({ params: { kind, name }, query: {} })).pipe(Effect.ignore)
    )
  })

/** Takes an instance out of service, or back. */
export const maintenance = (id: string, enable: boolean) =>
  Effect.flatMap(
    ConsulClient.ConsulClient,
    (consul) => consul.call("maintenance", (api) => api.agent.serviceMaintenance({ params: { id }, query: { enable } }))
  )

/** Creates a prepared query for the scope. */
export const query = (definition: PreparedQuery.Definition) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const { body } = yield* Effect.acquireRelease(
      consul.call("create", (api) => api.query.create({ query: {}, payload: definition })),
      ({ body }) => Effect.ignore(removeQuery(body.ID))
    )
    return body.ID
  })

export const removeQuery = (id: string) =>
  Effect.flatMap(
    ConsulClient.ConsulClient,
    (consul) => consul.call("delete", (api) => api.query.delete({ params: { id }, query: {} }))
  )

/** Lets these services call `destination`, and nobody else, until the scope closes. */
export const allow = (destination: string, ...sources: ReadonlyArray<string>) =>
  entry({
    Kind: "service-intentions",
    Name: destination,
    Sources: sources.map((Name) => ({ Name, Action: "allow" }))
  })

/** Waits for something that takes a moment to get around; fails with the last failure after so many seconds. */
export const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>, seconds = 10): Effect.Effect<A, E, R> =>
  Effect.retry(effect, Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(seconds * 50)]))

/** Replaces the certificate authority's root, as an operator does: by asking for keys of another size. */
export const rotateRoot = Effect.gen(function*() {
  const consul = yield* ConsulClient.ConsulClient
  const { body } = yield* consul.call("read", (api) => api.connect.caConfiguration({ query: {} }))
  const bits = Number(body.Config["PrivateKeyBits"] ?? 256) === 256 ? 384 : 256
  yield* consul.call("write", (api) =>
    api.connect.setCaConfiguration({
      query: {},
      payload: { ...body, Config: { ...body.Config, PrivateKeyType: "ec", PrivateKeyBits: bits } }
    }))
})
