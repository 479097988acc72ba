import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Equal, Layer, Queue, Result, Schedule, Stream, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as Resolver from "../../src/outbound/Resolver.ts"
import * as Certificates from "../support/certificates.ts"
import * as HttpMesh from "../support/httpMesh.ts"
import { shout } from "../support/listeners.ts"
import * as Mesh from "../support/mesh.ts"

const at = (port: number) => ({ host: "127.0.0.1", port })

describe("Resolver", () => {
  it("is equal to one that says the same", () => {
    const named = () => Result.getOrThrow(Resolver.parse("v2.api.service.dc2.consul"))
    assert.isTrue(Equal.equals(named(), named()))
    assert.isTrue(Equal.equals(named(), Resolver.service("api", { subset: "v2", datacenter: "dc2" })))
    assert.isTrue(Equal.equals(Resolver.from({ service: "api" }), Resolver.service("api")))
    assert.isTrue(Equal.equals(Resolver.query("geo"), Result.getOrThrow(Resolver.parse("geo.query.consul"))))
    const others = [
      named(),
      Resolver.service("api"),
      Resolver.service("api", { datacenter: "dc2" }),
      Resolver.service("api", { subset: "dc2" }),
      Resolver.query("api"),
      Resolver.query("api", { interval: "1 second" }),
      Resolver.fixed([{ address: at(1), expected: "api" }]),
      Resolver.fixed([{ address: at(2), expected: "api" }]),
      Resolver.fromStream("api", Stream.never),
      Resolver.fromStream("api", Stream.never)
    ]
    assert.strictEqual(new Set(others.map(({ key }) => key)).size, others.length)
  })

  it("is none for a name that has no meaning", () => {
    const error = Result.getOrThrow(Result.flip(Resolver.parse("example.com")))
    assert.strictEqual(error._tag, "UnknownName")
    assert.include(error.message, "\"example.com\" can not be called: names are as in api")
  })
})

/** A dialler of `web`, and listeners that shout. */
const dialling = Effect.gen(function*() {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const web = yield* Mesh.member("web", ca)
  const discovery = yield* Mesh.discovery({ api: [] })
  const context = yield* Layer.build(
    Layer.fresh(MeshDialer.layer.pipe(Layer.provideMerge(Layer.mergeAll(web.layer, discovery.layer))))
  )
  const dialer = Context.get(context, MeshDialer.MeshDialer)
  const instance = Effect.fnUntraced(function*(service: string) {
    const member = yield* Mesh.member(service, ca)
    const listener = yield* MeshListener.make({ host: "127.0.0.1", port: 0, handle: shout, drain: 0 }).pipe(
      Effect.provideContext(yield* Layer.build(Layer.fresh(member.layer)))
    )
    return listener.port
  })
  const answers = (to: Resolver.Input) =>
    Effect.scoped(Effect.map(dialer.dial(to), ({ peer }) => SpiffeId.display(peer)))
  const fails = (to: Resolver.Input) => Effect.flip(answers(to))
  return { answers, fails, instance, setQuery: discovery.setQuery }
})

/** An HTTP client of `web`, and servers that say their name. */
const calling = (resolve?: (host: string) => Resolver.Input | undefined) =>
  Effect.gen(function*() {
    const authority = yield* HttpMesh.authorityOf
    const discovery = yield* Mesh.discovery({})
    const instance = Effect.fnUntraced(function*(service: string) {
      return yield* HttpMesh.instance(yield* Mesh.member(service, authority), service)
    })
    const { get } = yield* HttpMesh.client(authority, discovery.layer, { resolve })
    return { discovery, get, fails: (url: string) => HttpMesh.failureOf(get(url)), instance }
  })

describe("Resolver.fixed", () => {
  it.live("is dialled, with the service that is expected there", () =>
    Effect.gen(function*() {
      const { answers, fails, instance } = yield* dialling
      const port = yield* instance("api")
      assert.strictEqual(yield* answers(Resolver.fixed([{ address: at(port), expected: "api" }])), "api")
      const error = yield* fails(Resolver.fixed([{ address: at(port), expected: "billing" }]))
      assert.strictEqual(error.service, "billing")
      assert.strictEqual(error.reason._tag, "UnexpectedIdentity")
    }))

  it.live("takes any of several, and nobody of another datacenter or trust domain", () =>
    Effect.gen(function*() {
      const { answers, fails, instance } = yield* dialling
      const address = at(yield* instance("api"))
      const own = Certificates.service("api")
      assert.strictEqual(yield* answers(Resolver.fixed([{ address, expected: ["billing", "api"] }])), "api")
      assert.strictEqual(yield* answers(Resolver.fixed([{ address, expected: own }])), "api")
      for (const expected of [{ ...own, datacenter: "dc2" }, { ...own, trustDomain: "other.consul" }]) {
        assert.strictEqual((yield* fails(Resolver.fixed([{ address, expected }]))).reason._tag, "UnexpectedIdentity")
      }
    }))

  it.live("says that nobody is healthy where there is no instance", () =>
    Effect.gen(function*() {
      const { fails } = yield* dialling
      const { reason, service } = yield* fails(Resolver.fixed([], { name: "api" }))
      assert.deepStrictEqual([service, reason._tag], ["api", "NoHealthyInstance"])
    }))

  it.live("serves HTTP to hosts of one's own", () =>
    Effect.gen(function*() {
      let to: Resolver.Resolver | undefined
      let asked = 0
      const { fails, get, instance } = yield* calling((host) => (asked++, host === "api.example.com" ? to : undefined))
      const { port } = yield* instance("api")
      to = Resolver.fixed([{ address: at(port), expected: "api" }], { name: "ours, with a space" })
      assert.strictEqual(yield* get("http://api.example.com/"), "api")
      assert.strictEqual(yield* get("http://api.example.com/"), "api")
      assert.strictEqual(asked, 1)
      assert.strictEqual((yield* fails("http://example.com/")).reason._tag, "UnknownName")
    }))
})

describe("Resolver.fromStream", () => {
  it.live("follows the stream, and keeps the last list when it fails", () =>
    Effect.gen(function*() {
      const { answers, fails, instance } = yield* dialling
      const lists = yield* Queue.make<ReadonlyArray<Resolver.Instance>, { readonly message: string }>()
      const resolver = Resolver.fromStream("ours", Stream.fromQueue(lists), { connectTimeoutMillis: 2000 })
      const [api, billing] = [yield* instance("api"), yield* instance("billing")]
      yield* Queue.offer(lists, [{ address: at(api), expected: "api" }])
      assert.strictEqual(yield* answers(resolver), "api")
      yield* Queue.offer(lists, [
        { address: at(api), expected: "api", weight: 0 },
        { address: at(billing), expected: "billing" }
      ])
      yield* Effect.repeat(answers(resolver), { until: (name) => name === "billing" })
      yield* Queue.fail(lists, { message: "the source is gone" })
      yield* Effect.repeat(TestConsole.logLines, { until: (lines) => JSON.stringify(lines).includes("source is gone") })
      assert.strictEqual(yield* answers(resolver), "billing")
      const never = yield* fails(Resolver.fromStream("ours", Stream.fail({ message: "no source" }), {
        connectTimeoutMillis: 20
      }))
      assert.strictEqual(
        never.message,
        "cannot reach ours: the stream of its instances was not ready within 20 ms: the stream has failed: no source"
      )
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("serves HTTP, with new connections where another service has to answer at an address", () =>
    Effect.gen(function*() {
      const lists = yield* SubscriptionRef.make<ReadonlyArray<Resolver.Instance>>([])
      const resolver = Resolver.fromStream("ours", SubscriptionRef.changes(lists))
      const { fails, get, instance } = yield* calling(() => resolver)
      const { port } = yield* instance("api")
      assert.strictEqual((yield* fails("http://any/")).reason._tag, "NoHealthyInstance")
      yield* SubscriptionRef.set(lists, [{ address: at(port), expected: "api" }])
      yield* Effect.retry(get("http://any/"), Schedule.spaced("5 millis"))
      yield* SubscriptionRef.set(lists, [{ address: at(port), expected: "billing" }])
      const error = yield* Effect.repeat(Effect.option(fails("http://any/")), {
        until: (found) => found._tag === "Some"
      })
      assert.strictEqual(error._tag === "Some" && error.value.reason._tag, "UnexpectedIdentity")
    }))
})

describe("Resolver.query", () => {
  it.live("dials each instance as the service that the query found there", () =>
    Effect.gen(function*() {
      const { answers, fails, instance, setQuery } = yield* dialling
      const [api, billing] = [yield* instance("api"), yield* instance("billing")]
      const found = (port: number, service: string) => ({
        ...Mesh.endpoint(port),
        expected: [{ service, datacenter: "dc1" }]
      })
      yield* setQuery("geo", [found(api, "api")])
      assert.strictEqual(yield* answers(Resolver.query("geo")), "api")
      yield* setQuery("geo", [found(billing, "billing")])
      yield* Effect.repeat(answers(Resolver.query("geo")), { until: (name) => name === "billing" })
      yield* setQuery("geo", [found(billing, "api")])
      yield* Effect.repeat(Effect.result(answers(Resolver.query("geo"))), {
        until: (result) => Result.isFailure(result) && result.failure.reason._tag === "UnexpectedIdentity"
      })
      yield* setQuery("geo", [])
      yield* Effect.repeat(Effect.result(answers(Resolver.query("geo"))), {
        until: (result) => Result.isFailure(result) && result.failure.reason._tag === "NoHealthyInstance"
      })
      const unknown = yield* fails(Resolver.query("none"))
      assert.strictEqual(
        unknown.message,
        "cannot reach none.query: \"none.query\" can not be called: there is no prepared query none"
      )
    }))

  it.live("is what names with query call", () =>
    Effect.gen(function*() {
      const { discovery, fails, get, instance } = yield* calling()
      const { port } = yield* instance("api")
      yield* discovery.setQuery("geo", [{ ...Mesh.endpoint(port), expected: [{ service: "api" }] }])
      assert.strictEqual(yield* get("http://geo.query.consul/"), "api")
      const error = yield* fails("http://none.query.consul/")
      assert.deepStrictEqual([error.service, error.sent, error.reason._tag], ["none.query", false, "UnknownName"])
    }))
})

describe("a name that is unknown", () => {
  it.live("is not waited for", () =>
    Effect.gen(function*() {
      const { fails } = yield* dialling
      const { reason } = yield* fails({ service: "api", subset: "v9" })
      assert.strictEqual(reason._tag, "UnknownName")
      assert.include(reason.message, "\"v9.api\" can not be called: api has no subset v9")
    }))
})
