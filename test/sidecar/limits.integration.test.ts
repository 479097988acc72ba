/** How long connections may last and be unused, and how many are taken on, as the registration says now. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import type * as Authorizer from "../../src/intention/Authorizer.ts"
import type * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as ConnectionSettings from "../../src/watch/registration/ConnectionSettings.ts"
import * as Mesh from "../support/mesh.ts"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"

const keeping = (settings: Partial<ConnectionSettings.ConnectionSettings>) => ({
  connections: { ...ConnectionSettings.defaults, ...settings }
})

/** A pair with an open connection, and what the sidecars are registered as. */
const opened = Effect.fnUntraced(function*(reauthorizeMillis: number) {
  const { port: application } = yield* Sockets.shouting
  const registered = { application: { host: "127.0.0.1", port: application }, reauthorizeMillis }
  const pair = yield* Sidecars.pair(application, { api: { reauthorizeMillis } })
  const client = yield* Sockets.connect(pair.port)
  const read = Sockets.record(client)
  client.write("hello")
  yield* read.until("HELLO")
  return {
    ...pair,
    read,
    registerApi: (changed: Partial<ProxyRegistration.Registration>) =>
      pair.apiSidecar.register(Sidecars.registration("api", { ...registered, ...changed })),
    registerUpstream: (changed: Partial<ProxyRegistration.Upstream>) =>
      pair.webSidecar.register(Sidecars.registration("web", {
        upstreams: [{ ...Sidecars.upstream("api"), ...changed }]
      }))
  }
})

const open = opened(60_000)

describe("a connection", () => {
  it.live.each(
    [
      ["is unused", { idleTimeoutMillis: 20 }, "idle"],
      ["has lasted", { maxLifetimeMillis: 20 }, "lifetime"]
    ] as const
  )("of a caller is reset once it %s for long enough", ([, settings, why]) =>
    Effect.gen(function*() {
      const { apiSidecar, read, registerApi } = yield* open
      yield* registerApi(keeping(settings))
      assert.strictEqual(yield* read.ending, "ECONNRESET")
      assert.strictEqual(apiSidecar.listener("public")?.counts.retired[why], 1)
    }))

  it.live.each(
    [
      ["is unused", { idleTimeoutMillis: 20 }, "idle"],
      ["has lasted", { maxLifetimeMillis: 20 }, "lifetime"]
    ] as const
  )("through an upstream is reset once it %s for long enough", ([, settings, why]) =>
    Effect.gen(function*() {
      const { read, registerUpstream, webSidecar } = yield* open
      yield* registerUpstream(keeping(settings))
      assert.strictEqual(yield* read.ending, "ECONNRESET")
      assert.strictEqual(webSidecar.listener("upstream api")?.counts.retired[why], 1)
    }))

  it.live("is closed where enough others wait for an instance", () =>
    Effect.gen(function*() {
      const { discovery, port, registerUpstream, webSidecar } = yield* open
      // It takes connections, and never a handshake.
      const silent = yield* Sockets.server(() => {})
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(silent.port)])
      const { limits } = Sidecars.upstream("api")
      yield* registerUpstream({ limits: { ...limits, maxPendingRequests: 1 } })
      yield* Sockets.connect(port)
      yield* Sockets.eventually(() => webSidecar.listener("upstream api")?.counts.open === 2)
      const second = yield* Sockets.connect(port)
      yield* Sockets.record(second).ending
      assert.strictEqual(webSidecar.listener("upstream api")?.counts.open, 2, "the one that waits is left alone")
    }))

  it.live("is judged again as often as it is registered", () =>
    Effect.gen(function*() {
      const { api } = yield* opened(10)
      let judged = 0
      const authorizer = Mesh.policy("api", { web: "allow" })
      const counting: Authorizer.Authorizer = {
        ...authorizer,
        connection: (caller) => {
          judged++
          return authorizer.connection(caller)
        }
      }
      yield* SubscriptionRef.set(api.intentions, counting)
      yield* Sockets.eventually(() => judged > 5)
    }))
})
