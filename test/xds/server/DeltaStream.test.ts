import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type * as Discovery from "../../../src/xds/proto/Discovery.ts"
import * as Resources from "../../../src/xds/Resources.ts"
import * as DeltaStream from "../../../src/xds/server/DeltaStream.ts"

type Kind = Resources.Kind

/** A resource whose bytes are nobody's business here. */
const resource = (name: string, version: string, children: ReadonlyArray<string> = []): Resources.Resource => ({
  name,
  version,
  children,
  bytes: new Uint8Array()
})

const resources = (
  all: Partial<Record<Kind, ReadonlyArray<readonly [name: string, version: string, ...children: Array<string>]>>>
): Resources.Resources => ({
  ...Resources.none,
  ...Object.fromEntries(
    Object.entries(all).map(([kind, list]) => [
      kind,
      new Map(list.map(([name, version, ...children]) => [name, resource(name, version, children)]))
    ])
  )
})

const clusters: Kind = "cluster.Cluster"
const endpoints: Kind = "endpoint.ClusterLoadAssignment"
const listeners: Kind = "listener.Listener"
const routes: Kind = "route.RouteConfiguration"

/** A client that says what it is told to, and shows what it gets. */
const client = () => {
  const stream = DeltaStream.make()
  const say = (kind: Kind, request: Discovery.DeltaRequest = {}) =>
    stream.receive({ ...request, type_url: Resources.typeUrls[kind] })
  return {
    stream,
    say,
    ask: (kind: Kind, ...names: ReadonlyArray<string>) => say(kind, { resource_names_subscribe: names }),
    ack: (kind: Kind, nonce: string) => say(kind, { response_nonce: nonce }),
    nack: (kind: Kind, nonce: string) =>
      say(kind, { response_nonce: nonce, error_detail: { code: 3, message: "no, thanks" } }),
    next: () => shown(stream.next())
  }
}

const shown = (response: Discovery.DeltaResponse | undefined) =>
  response === undefined ? undefined : {
    kind: Resources.kinds.find((kind) => Resources.typeUrls[kind] === response.typeUrl),
    nonce: response.nonce,
    put: response.resources.map(({ name, version }) => `${name}@${version}`),
    removed: response.removed
  }

describe("DeltaStream", () => {
  it("sends everything to who asks for everything, once", () => {
    const { ack, ask, next, stream } = client()
    ask(clusters)
    assert.isUndefined(next())
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "1"]] }))
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "1", put: ["a@1", "b@1"], removed: [] })
    assert.isUndefined(next())
    ack(clusters, "1")
    assert.isUndefined(next())
    assert.isTrue(stream.isSettled())
  })

  it("sends what has changed and nothing else", () => {
    const { ack, ask, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "1"], ["c", "1"]] }))
    next()
    ack(clusters, "1")
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "2"]] }))
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "2", put: ["b@2"], removed: [] })
    ack(clusters, "2")
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "3", put: [], removed: ["c"] })
  })

  it("sends what is asked for by name", () => {
    const { ack, ask, next, say, stream } = client()
    stream.update(resources({ [endpoints]: [["a", "1"], ["b", "1"], ["c", "1"]] }))
    ask(endpoints, "a")
    assert.deepStrictEqual(next()?.put, ["a@1"])
    ack(endpoints, "1")
    ask(endpoints, "c")
    assert.deepStrictEqual(next()?.put, ["c@1"])
    ack(endpoints, "2")
    say(endpoints, { resource_names_unsubscribe: ["a"] })
    stream.update(resources({ [endpoints]: [["a", "2"], ["b", "2"], ["c", "2"]] }))
    assert.deepStrictEqual(next()?.put, ["c@2"])
  })

  it("does not send what the client says it has", () => {
    const { next, say, stream } = client()
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "2"]] }))
    say(clusters, { initial_resource_versions: { a: "1", b: "1", gone: "1" } })
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "1", put: ["b@2"], removed: [] })
  })

  it("takes away what the client says it has and is no more", () => {
    const { next, say, stream } = client()
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    say(clusters, { initial_resource_versions: { a: "1", gone: "1" } })
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "1", put: [], removed: ["gone"] })
  })

  it("says that there is nothing of a name, once, and sends it when there is", () => {
    const { ack, ask, next, stream } = client()
    stream.update(resources({}))
    ask(routes, "web")
    assert.deepStrictEqual(next(), { kind: routes, nonce: "1", put: [], removed: ["web"] })
    ack(routes, "1")
    assert.isUndefined(next())
    stream.update(resources({ [routes]: [["web", "1"]] }))
    assert.deepStrictEqual(next()?.put, ["web@1"])
  })

  it("sends again what is asked for again", () => {
    const { ack, ask, next, stream } = client()
    stream.update(resources({ [endpoints]: [["a", "1"]] }))
    ask(endpoints, "a")
    next()
    ack(endpoints, "1")
    ask(endpoints, "a")
    assert.deepStrictEqual(next()?.put, ["a@1"])
  })

  it("does not send again what was refused, until it is another version", () => {
    const { ack, ask, nack, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    next()
    assert.deepStrictEqual(nack(clusters, "1"), [{
      _tag: "Refused",
      kind: clusters,
      names: ["a"],
      why: "no, thanks"
    }])
    assert.isUndefined(next())
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "1"]] }))
    assert.deepStrictEqual(next()?.put, ["b@1"])
    ack(clusters, "2")
    stream.update(resources({ [clusters]: [["a", "2"], ["b", "1"]] }))
    assert.deepStrictEqual(next()?.put, ["a@2"])
  })

  // An Envoy refuses a response in which one cluster is wrong, and takes the others all the same.
  it("sends again what the client may have given up in what it refused", () => {
    const { ack, ask, nack, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    next()
    ack(clusters, "1")
    stream.update(resources({ [clusters]: [["a", "2"]] }))
    next()
    nack(clusters, "2")
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "3", put: ["a@1"], removed: [] })
  })

  it("takes away what the client may have taken of what it refused", () => {
    const { ask, nack, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    next()
    nack(clusters, "1")
    stream.update(resources({}))
    assert.deepStrictEqual(next(), { kind: clusters, nonce: "2", put: [], removed: ["a"] })
  })

  it("sends again by itself what was refused for the fault of something else", () => {
    const { ack, ask, nack, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "1"], ["wrong", "1"]] }))
    assert.deepStrictEqual(next()?.put, ["a@1", "b@1", "wrong@1"])
    nack(clusters, "1")
    assert.deepStrictEqual(next()?.put, ["a@1", "b@1"])
    ack(clusters, "2")
    stream.update(resources({ [clusters]: [["a", "1"], ["b", "2"], ["wrong", "1"]] }))
    assert.deepStrictEqual(next()?.put, ["wrong@1"])
    assert.deepStrictEqual(nack(clusters, "3").map((news) => news._tag === "Refused" && news.names), [["wrong"]])
    assert.deepStrictEqual(next()?.put, ["b@2"])
    ack(clusters, "4")
    assert.isUndefined(next())
    assert.isTrue(stream.isSettled())
  })

  it("is not moved by an answer to something else", () => {
    const { ack, ask, next, stream } = client()
    ask(clusters)
    stream.update(resources({ [clusters]: [["a", "1"]] }))
    next()
    assert.deepStrictEqual(ack(clusters, "7"), [])
    assert.isFalse(stream.isSettled())
    assert.deepStrictEqual(ack(clusters, "1"), [{ _tag: "Acknowledged", kind: clusters, count: 1 }])
  })

  it("names a kind that it does not serve", () => {
    const news = DeltaStream.make().receive({ type_url: "type.googleapis.com/no.such.Kind" })
    assert.deepStrictEqual(news, [{ _tag: "UnknownKind", typeUrl: "type.googleapis.com/no.such.Kind" }])
  })

  describe("in order", () => {
    it("holds listeners and routes back until clusters and their endpoints are answered", () => {
      const { ack, ask, next, stream } = client()
      ask(clusters)
      ask(listeners)
      stream.update(resources({
        [clusters]: [["a", "1", "a"]],
        [endpoints]: [["a", "1"]],
        [listeners]: [["l", "1", "r"]],
        [routes]: [["r", "1"]]
      }))
      assert.strictEqual(next()?.kind, clusters)
      assert.isUndefined(next())
      // An Envoy answers to a cluster only when it has its endpoints.
      ask(endpoints, "a")
      assert.deepStrictEqual(next(), { kind: endpoints, nonce: "2", put: ["a@1"], removed: [] })
      assert.isUndefined(next())
      ack(endpoints, "2")
      assert.isUndefined(next())
      ack(clusters, "1")
      assert.strictEqual(next()?.kind, listeners)
      ask(routes, "r")
      assert.strictEqual(next()?.kind, routes)
    })

    it("takes a cluster away only when nothing leads there any more", () => {
      const { ack, ask, next, stream } = client()
      ask(clusters)
      ask(listeners)
      ask(routes, "r")
      stream.update(resources({ [clusters]: [["a", "1"]], [listeners]: [["l", "1", "r"]], [routes]: [["r", "1"]] }))
      assert.strictEqual(next()?.kind, clusters)
      ack(clusters, "1")
      next()
      next()
      ack(listeners, "2")
      ack(routes, "3")
      stream.update(resources({ [clusters]: [["b", "1"]], [listeners]: [["l", "1", "r"]], [routes]: [["r", "2"]] }))
      assert.deepStrictEqual(next(), { kind: clusters, nonce: "4", put: ["b@1"], removed: [] })
      assert.isUndefined(next())
      ack(clusters, "4")
      assert.deepStrictEqual(next(), { kind: routes, nonce: "5", put: ["r@2"], removed: [] })
      assert.isUndefined(next())
      ack(routes, "5")
      assert.deepStrictEqual(next(), { kind: clusters, nonce: "6", put: [], removed: ["a"] })
    })
  })

  describe("children", () => {
    const started = () => {
      const it = client()
      it.stream.update(resources({ [clusters]: [["a", "1", "a"]], [endpoints]: [["a", "1"]] }))
      it.ask(clusters)
      it.ask(endpoints, "a")
      it.next()
      return it
    }

    it("are sent again when their parent changes, though nobody asks", () => {
      const { ack, next, stream } = started()
      ack(clusters, "1")
      next()
      ack(endpoints, "2")
      stream.update(resources({ [clusters]: [["a", "2", "a"]], [endpoints]: [["a", "1"]] }))
      assert.deepStrictEqual(next()?.put, ["a@2"])
      assert.deepStrictEqual(next(), { kind: endpoints, nonce: "4", put: ["a@1"], removed: [] })
    })

    it("are sent again where their parent changes while they are under way", () => {
      const { ack, next, stream } = started()
      ack(clusters, "1")
      assert.strictEqual(next()?.kind, endpoints)
      stream.update(resources({ [clusters]: [["a", "2", "a"]], [endpoints]: [["a", "1"]] }))
      assert.strictEqual(next()?.kind, clusters)
      assert.isUndefined(next())
      ack(endpoints, "2")
      assert.deepStrictEqual(next(), { kind: endpoints, nonce: "4", put: ["a@1"], removed: [] })
    })

    it("are sent though the client says that it has them, where their parent is new to it", () => {
      const { next, say, stream } = client()
      stream.update(resources({ [clusters]: [["a", "2", "a"]], [endpoints]: [["a", "1"]] }))
      say(clusters, { initial_resource_versions: { a: "1" } })
      assert.deepStrictEqual(next()?.put, ["a@2"])
      say(endpoints, { resource_names_subscribe: ["a"], initial_resource_versions: { a: "1" } })
      assert.deepStrictEqual(next()?.put, ["a@1"])
    })

    it("are left alone when they are gone with their parent", () => {
      const { ack, next, stream } = started()
      ack(clusters, "1")
      next()
      ack(endpoints, "2")
      stream.update(resources({}))
      assert.deepStrictEqual(next(), { kind: clusters, nonce: "3", put: [], removed: ["a"] })
      ack(clusters, "3")
      assert.isUndefined(next())
    })
  })

  const Name = Schema.Literals(["a", "b", "c"])
  const Version = Schema.Literals(["1", "2"])
  const State = Schema.Record(Name, Schema.NullOr(Version))
  const Step = Schema.Union([
    Schema.Struct({ update: State }),
    Schema.Struct({ answer: Schema.Literals(["in order", "stale"]) }),
    Schema.Struct({ resubscribe: Name })
  ])

  it.prop("leads every client to what holds, whatever it refuses on the way", {
    steps: Schema.Array(Step),
    last: State,
    wrong: Schema.Array(Schema.Tuple([Name, Version])),
    takes: Schema.Literals(["nothing", "what comes before the fault", "all that is right"])
  }, ({ last, steps, takes, wrong }) => {
    const { next, say, stream } = client()
    const has = new Map<string, string>()
    const isWrong = (text: string) => wrong.some((one) => one.join("@") === text)
    let waiting: ReturnType<typeof next>
    const take = () => {
      const got = next()
      if (got === undefined) return
      assert.isUndefined(waiting)
      waiting = got
    }
    const answer = () => {
      if (waiting === undefined) return
      const { nonce, put, removed } = waiting
      waiting = undefined
      const fault = put.findIndex(isWrong)
      const taken = fault === -1 || takes === "all that is right"
        ? put.filter((text) => !isWrong(text))
        : takes === "nothing"
        ? []
        : put.slice(0, fault)
      for (const name of removed) has.delete(name)
      for (const text of taken) has.set(...(text.split("@") as [string, string]))
      say(clusters, {
        response_nonce: nonce,
        ...(fault !== -1 && { error_detail: { code: 3, message: "no" } })
      })
    }
    const hold = (state: typeof State.Type) =>
      resources({
        [clusters]: Object.entries(state).flatMap(([name, version]) =>
          version === null ? [] : [[name, version] as const]
        )
      })
    say(clusters)
    for (const step of [...steps, { update: last }]) {
      if ("update" in step) stream.update(hold(step.update))
      else if ("resubscribe" in step) {
        has.delete(step.resubscribe)
        say(clusters, { resource_names_subscribe: [step.resubscribe] })
      } else if (step.answer === "stale") say(clusters, { response_nonce: "none" })
      else answer()
      take()
    }
    for (let i = 0; i < 20; i++) {
      answer()
      take()
    }
    assert.isTrue(stream.isSettled())
    for (const [name, version] of Object.entries(last)) {
      if (version === null) assert.isUndefined(has.get(name))
      else if (isWrong(`${name}@${version}`)) assert.notStrictEqual(has.get(name), version)
      else assert.strictEqual(has.get(name), version)
    }
  })
})
