import * as Grpc from "@grpc/grpc-js"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Schedule, Scope, Stream } from "effect"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import type * as Watched from "../../../src/watch/Watched.ts"
import * as Feed from "../../../src/xds/client/Feed.ts"
import type * as Reading from "../../../src/xds/read/Reading.ts"
import * as certificates from "../../support/certificates.ts"
import * as controlPlane from "../../support/controlPlane.ts"
import * as resources from "../../support/xdsResources.ts"

const whose = { proxyId: "web-sidecar-proxy", nodeName: undefined, namespace: "", partition: "" }

const follow = (
  servers: ReadonlyArray<controlPlane.ControlPlane>,
  more: Partial<Feed.Options> = {}
) =>
  Feed.make({
    servers: servers.map(({ address }) => address),
    tls: undefined,
    whose,
    credentials: undefined,
    again: Schedule.spaced("10 millis"),
    ...more
  })

const identity = Effect.promise(async () => resources.identity("web", await certificates.root("Root")))

/** The first reading of which something holds. */
const until = (feed: Watched.Watched<Reading.Reading>, holds: (reading: Reading.Reading) => boolean) =>
  Stream.runHead(Stream.filter(feed.changes, holds)).pipe(Effect.flatMap(Effect.fromOption))

/** Who may call, of these. */
const callers = ({ policy }: Reading.Reading): ReadonlyArray<string> =>
  ["api", "billing"].filter((name) => policy.authorizer.connection(certificates.service(name)).allowed)

/** Everything that is sent to a proxy that calls `api`, each acknowledged. */
const tell = Effect.fnUntraced(function*(server: controlPlane.ControlPlane, self: resources.Identity, ports: {
  readonly application: number
  readonly listen: number
  readonly upstream: number
  readonly api: number
}) {
  yield* server.next
  server.send("c1", [resources.localApp(ports.application), resources.cluster(self, "api")])
  server.send("l1", [
    resources.publicListener(self, ports.listen, resources.allowing(["api"])),
    resources.upstreamListener("api", ports.upstream)
  ])
  server.send("e1", [resources.instances("api", [ports.api])])
})

const ports = { application: 1001, listen: 1002, upstream: 1003, api: 1004 }

/** Waits for the answer to a response. */
const answerTo = (server: controlPlane.ControlPlane, nonce: string) =>
  Effect.repeat(server.next, { until: ({ message }) => message.response_nonce === nonce })

describe("Feed", () => {
  it.live("asks for everything, then for what that leads to, and says yes to each response", () =>
    Effect.gen(function*() {
      const server = yield* controlPlane.start()
      const self = yield* identity
      const feed = yield* follow([server])
      const [clusters, listeners] = [yield* server.next, yield* server.next]
      assert.strictEqual(clusters.message.type_url, "type.googleapis.com/envoy.config.cluster.v3.Cluster")
      assert.strictEqual(clusters.message.node?.id, "web-sidecar-proxy")
      assert.strictEqual(listeners.message.type_url, "type.googleapis.com/envoy.config.listener.v3.Listener")
      server.send("c1", [resources.localApp(ports.application), resources.cluster(self, "api")])
      const yes = yield* server.next
      assert.deepStrictEqual([yes.message.response_nonce, yes.message.error_detail], ["c1", undefined])
      const instances = yield* server.next
      assert.deepStrictEqual(instances.message.resource_names_subscribe, [resources.clusterName("api")])
      server.send("l1", [resources.publicListener(self, ports.listen, resources.allowing(["api"]))])
      server.send("e1", [resources.instances("api", [ports.api])])
      const { identity: own, registration } = yield* feed.get
      assert.strictEqual(SpiffeId.format(own.leaf.identity), SpiffeId.format(certificates.service("web")))
      assert.deepStrictEqual(registration.listen, { host: "127.0.0.1", port: ports.listen })
      const reading = yield* until(
        feed,
        ({ instances }) => (instances(resources.clusterName("api")).instances ?? []).length > 0
      )
      assert.deepStrictEqual(callers(reading), ["api"])
      const [instance] = reading.instances(resources.clusterName("api")).instances ?? []
      assert.deepStrictEqual(instance?.address, { host: "127.0.0.1", port: ports.api })
      assert.deepStrictEqual(instance?.expected, [certificates.service("api")])
    }))

  it.live("lets nobody in by a listener that it does not understand, until one comes that it does", () =>
    Effect.gen(function*() {
      const server = yield* controlPlane.start()
      const self = yield* identity
      const feed = yield* follow([server])
      yield* tell(server, self, ports)
      yield* until(feed, (reading) => callers(reading).length === 1)
      const rules = resources.allowing(["api", "billing"])
      server.send("l2", [resources.publicListener(self, ports.listen, rules, { use_original_dst: true })])
      // A no would say that the one before is in force, which would then not be sent again.
      assert.isUndefined((yield* answerTo(server, "l2")).message.error_detail)
      const closed = yield* until(feed, ({ flaws }) => flaws.length > 0)
      assert.match(closed.flaws.join(), /use_original_dst/)
      assert.deepStrictEqual(callers(closed), [])
      server.send("l3", [resources.publicListener(self, ports.listen, rules)])
      const open = yield* until(feed, ({ flaws }) => flaws.length === 0)
      assert.deepStrictEqual(callers(open), ["api", "billing"])
    }))

  it.live("keeps an upstream as it was when the next one is not understood, and says no with the reason", () =>
    Effect.gen(function*() {
      const server = yield* controlPlane.start()
      const self = yield* identity
      const feed = yield* follow([server])
      yield* tell(server, self, ports)
      yield* until(feed, ({ registration }) => registration.upstreams.length === 1)
      const { message, ...listener } = resources.upstreamListener("api", ports.upstream)
      server.send("l2", [{ ...listener, message: { ...message as object, use_original_dst: true } }])
      const no = yield* answerTo(server, "l2")
      assert.match(no.message.error_detail?.message ?? "", /use_original_dst/)
      const reading = yield* until(feed, ({ flaws }) => flaws.length > 0)
      assert.strictEqual(reading.registration.upstreams.length, 1)
      assert.deepStrictEqual(callers(reading), ["api"])
    }))

  it.live("calls nobody in a cluster that it does not understand, and does not hold up what comes after it", () =>
    Effect.gen(function*() {
      const server = yield* controlPlane.start()
      const self = yield* identity
      const feed = yield* follow([server])
      yield* server.next
      server.send("c1", [
        resources.localApp(ports.application),
        resources.cluster(self, "api", { original_dst_lb_config: { use_http_header: true } })
      ])
      const yes = yield* answerTo(server, "c1")
      assert.isUndefined(yes.message.error_detail)
      server.send("l1", [resources.publicListener(self, ports.listen, resources.allowing([]))])
      const reading = yield* feed.get
      assert.match(reading.flaws.join(), /original_dst_lb_config/)
      assert.deepStrictEqual(reading.instances(resources.clusterName("api")).instances, [])
    }))

  it.live("keeps what it knows while no server answers, and tells the next one which versions it has", () =>
    Effect.gen(function*() {
      const server = yield* controlPlane.start()
      const self = yield* identity
      const feed = yield* follow([server])
      yield* tell(server, self, ports)
      yield* answerTo(server, "e1")
      server.end(Grpc.status.UNAVAILABLE, "going down")
      const again = yield* Effect.repeat(server.next, { until: ({ stream }) => stream === 2 })
      assert.deepStrictEqual(again.message.initial_resource_versions, {
        local_app: "1",
        [resources.clusterName("api")]: "1"
      })
      assert.deepStrictEqual(callers(feed.latest()!), ["api"])
      server.send("l4", [resources.publicListener(self, ports.listen, resources.allowing(["billing"]))])
      yield* until(feed, (reading) => callers(reading).join() === "billing")
    }))

  it.live("goes to another server when one is gone, which it has heard of by the first", () =>
    Effect.gen(function*() {
      const second = yield* controlPlane.start()
      const self = yield* identity
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(controlPlane.start({ servers: [`127.0.0.1:${second.port}`] }), scope)
      const feed = yield* follow([first])
      yield* tell(first, self, ports)
      yield* answerTo(first, "e1")
      yield* Scope.close(scope, Exit.void)
      yield* second.next
      second.send("l2", [resources.publicListener(self, ports.listen, resources.allowing(["billing"]))])
      yield* until(feed, (reading) => callers(reading).join() === "billing")
    }))

  it.live("logs in again when its token is not good any more, and gives the last one back", () =>
    Effect.gen(function*() {
      let good = "token-1"
      const server = yield* controlPlane.start({ token: () => good })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* follow([server], {
          credentials: {
            _tag: "Login",
            login: { method: "jwt", meta: { pod: "web-1" }, datacenter: "", namespace: "", partition: "" },
            bearer: Effect.succeed(Redacted.make("bearer"))
          }
        })
        assert.strictEqual((yield* server.next).token, "token-1")
        good = "token-2"
        server.end(Grpc.status.UNAUTHENTICATED, "ACL not found")
        const again = yield* Effect.repeat(server.next, { until: ({ token }) => token === "token-2" })
        assert.strictEqual(again.token, "token-2")
      }))
      assert.deepStrictEqual(server.logins.map(({ bearer_token, meta }) => [bearer_token, meta]), [
        ["bearer", { pod: "web-1" }],
        ["bearer", { pod: "web-1" }]
      ])
      assert.deepStrictEqual(server.logouts, ["token-2"])
    }))
})
