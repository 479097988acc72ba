/**
 * Streams that are cut in every way, refused, and ended in order, as everybody sees them who reads one. `Peer` is on the
 * other side: how it leaves is known, and it is no code of the mesh.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, fork } from "node:child_process"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { text } from "node:stream/consumers"
import { Context, Effect, Fiber, FiberSet, Layer, SubscriptionRef } from "effect"
import { HttpClient } from "effect/http"
import { Socket } from "effect/socket"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import { SocketServer } from "effect/socket"
import * as Certificates from "../support/certificates.ts"
import * as HttpMesh from "../support/httpMesh.ts"
import * as Mesh from "../support/mesh.ts"
import * as Peer from "../support/scriptedPeer.ts"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"
import * as SocketServers from "../support/socketServers.ts"
import type * as Child from "./streams/peer.ts"

/** `ended`: it was taken for whole. Anything else tells what was wrong. */
type Seen = string

const setUp = Effect.gen(function*() {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const discovery = yield* Mesh.discovery({ api: [] })
  yield* discovery.setRoute("api", { targets: [Mesh.target("api")], connectTimeoutMillis: 25_000 })
  const secretsOf = (service: string) =>
    Effect.promise(() => Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service(service))] }))
  const at = (ports: ReadonlyArray<number>) =>
    discovery.setInstances(Mesh.target("api").id, ports.map((port) => Mesh.endpoint(port)))
  return { authority, discovery, secretsOf, at }
})

type Fixture = Effect.Success<typeof setUp>

/** Ends a socket that has heard the end, and waits until that is said. */
const over = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    setImmediate(() => socket.end())
  })

/** Everything that can call `api`. */
const callers = Effect.fnUntraced(function*({ authority, discovery }: Fixture) {
  const web = yield* Mesh.member("web", authority)
  const parts = Layer.mergeAll(web.layer, discovery.layer)
  const context = yield* Layer.build(
    Layer.mergeAll(MeshHttpClient.layer(), MeshDialer.layer).pipe(Layer.provideMerge(parts))
  )
  const dialer = Context.get(context, MeshDialer.MeshDialer)
  const http = Context.get(context, HttpClient.HttpClient)
  const mesh = yield* Effect.acquireRelease(
    Effect.promise(() => PlainMesh.make(MeshDialer.layer.pipe(Layer.provideMerge(parts)))),
    (mesh) => Effect.promise(mesh.close)
  )
  const sidecar = yield* Sidecars.start(
    web,
    discovery,
    Sidecars.registration("web", { upstreams: [Sidecars.upstream("api")] })
  )
  const failed = (error: unknown): Seen => error instanceof Error ? error.message : String(error)
  const plain = (use: (socket: Net.Socket) => void) => (socket: Net.Socket) => {
    const { ending } = Sockets.record(socket)
    use(socket)
    return Effect.tap(ending, (how) => how === "ended" ? over(socket) : Effect.void)
  }
  /** By sockets: what is done first, then how reading goes on. */
  const sockets = {
    "PlainMesh.connect": (use: (socket: Net.Socket) => void) =>
      Effect.flatMap(Effect.promise(() => mesh.connect("api")), plain(use)),
    "PlainMesh.stream": (use: (socket: Net.Socket) => void) =>
      Effect.suspend(() => plain(use)(mesh.stream("api") as unknown as Net.Socket)),
    "MeshDialer": (use: (socket: Net.Socket) => void) =>
      Effect.scoped(Effect.flatMap(Effect.orDie(dialer.dial({ service: "api" })), ({ socket }) => plain(use)(socket))),
    "a sidecar": (use: (socket: Net.Socket) => void) =>
      Effect.scoped(Effect.flatMap(Effect.orDie(Sockets.connect(sidecar.port("upstream api"))), plain(use)))
  }
  const ofMeshSocket = (chunk: string | Socket.CloseEvent | undefined): Effect.Effect<Seen> =>
    Effect.gen(function*() {
      const socket = yield* Effect.provideContext(MeshSocket.make({ service: "api" }), context)
      const { pull } = yield* socket.reader
      if (chunk !== undefined) yield* Effect.ignore(Effect.flatMap(socket.writer, ({ write }) => write(chunk)))
      const { ending } = yield* SocketServers.readAll(pull)
      return ending === "CloseError 1000" ? "ended" : ending
    }).pipe(Effect.scoped, Effect.orDie)
  /** By requests. */
  const requests = {
    fetch: (path: string) =>
      Effect.promise(() =>
        fetch(`http://api/${path}`, { dispatcher: mesh.dispatcher }).then((answer) => answer.text())
          .then(() => "ended", failed)
      ),
    "MeshHttpClient": (path: string) =>
      http.get(`http://api/${path}`).pipe(
        Effect.flatMap((answer) => answer.text),
        Effect.match({ onSuccess: () => "ended", onFailure: failed })
      ),
    "an agent of node:https": (path: string) =>
      Effect.callback<Seen>((resume) => {
        Https.get(`https://api/${path}`, { agent: mesh.agent }, (answer) => {
          text(answer).then(() => resume(Effect.succeed("ended")), (error) => resume(Effect.succeed(failed(error))))
        }).on("error", (error) => setImmediate(() => resume(Effect.succeed(error.message))))
      })
  }
  return { sockets, ofMeshSocket, requests }
})

/** Everything that can be called; `seen` is how what it read has ended, `heard` how often it has read something. */
const callees = Effect.fnUntraced(function*({ authority, discovery }: Fixture) {
  const seen: Array<string> = []
  let heard = 0
  const see = (who: string, how: Seen) => void seen.push(`${who}: ${how}`)
  const read = (who: string, socket: Duplex) => {
    socket.once("data", () => heard++)
    socket.once("end", () => socket.end("LATE"))
    const { ending } = Sockets.record(socket)
    return Effect.map(ending, (how) => see(who, how))
  }
  const run = yield* FiberSet.makeRuntime()
  const api = yield* Mesh.member("api", authority)
  const context = yield* Layer.build(api.layer)
  const listener = yield* MeshListener.make({
    host: "127.0.0.1",
    port: 0,
    drain: "0 millis",
    handle: ({ socket }) => read("MeshListener", socket)
  }).pipe(Effect.provideContext(context))
  const served = yield* Layer.build(
    Layer.provide(MeshSocketServer.layer({ host: "127.0.0.1", port: 0, drain: "0 millis" }), api.layer)
  )
  yield* Effect.forkScoped(
    Context.get(served, SocketServer.SocketServer).run((socket) =>
      Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const { write } = yield* socket.writer
        const { ending } = yield* SocketServers.readAll(Effect.tap(pull, () => Effect.sync(() => heard++)))
        yield* Effect.ignore(write("LATE"))
        see("MeshSocketServer", ending === "CloseError 1000" ? "ended" : ending)
      }).pipe(Effect.scoped)
    )
  )
  const mesh = yield* Effect.acquireRelease(
    Effect.promise(() =>
      PlainMesh.make(MeshDialer.layer.pipe(Layer.provideMerge(Layer.mergeAll(api.layer, discovery.layer))))
    ),
    (mesh) => Effect.promise(mesh.close)
  )
  const plain = Net.createServer({ allowHalfOpen: true }, (socket) => run(read("PlainMesh.listen", socket)))
  const listening = yield* Effect.promise(() => mesh.listen(plain, { host: "127.0.0.1", port: 0, drain: "0 millis" }))
  const application = yield* Sockets.server((socket) => run(read("an application behind a sidecar", socket)))
  const sidecar = yield* Sidecars.start(
    api,
    discovery,
    Sidecars.registration("api", { application: { host: "127.0.0.1", port: application.port } })
  )
  return {
    api,
    seen,
    heard: () => heard,
    ports: [
      listener.port,
      Context.get(served, MeshSocketServer.MeshSocketServer).port,
      listening.port,
      sidecar.port("public")
    ]
  }
})

/** A peer in a process of its own. `began`: on how many connections it has said something. */
const spawn = Effect.fnUntraced(function*(told: Child.Told) {
  let began = 0
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(new URL("./streams/peer.ts", import.meta.url))),
    killed
  )
  const ports = yield* Effect.callback<ReadonlyArray<number>>((resume) => {
    child.on("message", (tells: Child.Tells) => {
      if (tells === "began") began++
      else resume(Effect.succeed(tells.ports))
    })
    child.send(told)
  })
  return { ports, began: () => began, kill: killed(child) }
})

const killed = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/** Who looks, and how it goes. */
type Look = readonly [who: string, see: Effect.Effect<Seen>]

/** How often each was seen, by who saw it. */
const count = (seen: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const how of seen) counts[how] = (counts[how] ?? 0) + 1
  return counts
}

/** Each so often, many at a time. */
const look = (times: number, looks: ReadonlyArray<Look>, concurrency = 32): Effect.Effect<ReadonlyArray<string>> =>
  Effect.forEach(
    Array.from({ length: times }, () => looks).flat(),
    ([who, see]) => Effect.map(see, (how) => `${who}: ${how}`),
    { concurrency }
  )

const wholes = (seen: ReadonlyArray<string>) => seen.filter((how) => how.endsWith(": ended"))

const versionsServed = Effect.fnUntraced(
  function*(fixture: Fixture, on?: Parameters<typeof Peer.serve>[2]) {
    const secrets = yield* fixture.secretsOf("api")
    const servers = yield* Effect.forEach(
      Peer.versions,
      (version) =>
        Effect.acquireRelease(Effect.promise(() => Peer.serve(secrets, version, on)), ({ close }) => Effect.sync(close))
    )
    yield* fixture.at(servers.map(({ port }) => port))
    return secrets
  }
)

/** There are hundreds of handshakes. */
const patience = 90_000

describe("a stream", () => {
  it.live(
    "is whole for no caller once its other side has cut it: by a FIN, a reset, a kill",
    () =>
      Effect.gen(function*() {
        const fixture = yield* setUp
        const secrets = yield* versionsServed(fixture)
        const { ofMeshSocket, requests, sockets } = yield* callers(fixture)
        const by = (manner: Peer.Manner): ReadonlyArray<Look> => [
          ...Object.entries(sockets).map(([who, open]) =>
            [`${who}, ${manner}`, open((socket) => socket.write(`${manner}\n`))] as const
          ),
          [`MeshSocket, ${manner}`, ofMeshSocket(`${manner}\n`)],
          ...Object.entries(requests).flatMap(([who, ask]) =>
            (["close", "length", "chunks"] as const).map((body) =>
              [`${who}, ${manner}, ${body}`, ask(`${manner}/${body}`)] as const
            )
          )
        ]
        const cut = yield* look(7, [...by("fin"), ...by("reset")])
        const child = yield* spawn({ secrets })
        yield* fixture.at(child.ports)
        const held = by("hold")
        const looking = yield* Effect.forkChild(look(7, held, Infinity))
        yield* Sockets.eventually(() => child.began() >= 7 * held.length)
        yield* child.kill
        const seen = [...cut, ...(yield* Fiber.join(looking))]
        assert.deepStrictEqual(count(wholes(seen)), {})
        assert.strictEqual(seen.length, 294)
      }),
    patience
  )

  it.live(
    "is whole for nobody who is called once the caller has cut it: by a FIN, a reset, a kill",
    () =>
      Effect.gen(function*() {
        const fixture = yield* setUp
        const { heard, ports, seen } = yield* callees(fixture)
        const secrets = yield* fixture.secretsOf("web")
        yield* Effect.forEach(
          Array.from({ length: 10 }, () => ports).flat().flatMap((port) => [[port, "fin"], [port, "reset"]] as const),
          ([port, manner], i) => Effect.promise(() => Peer.call(secrets, Peer.versions[(i >> 1) % 2]!, port, manner)),
          { concurrency: 16 }
        )
        yield* Sockets.eventually(() => seen.length === 80)
        const before = heard()
        const child = yield* spawn({ secrets, ports, count: 10 })
        yield* Sockets.eventually(() => heard() === before + 40)
        yield* child.kill
        yield* Sockets.eventually(() => seen.length === 120)
        assert.deepStrictEqual(count(wholes(seen)), {})
      }),
    patience
  )

  it.live("that was refused is an orderly end for nobody, whatever was done first", () =>
    Effect.gen(function*() {
      const fixture = yield* setUp
      const { api, ports } = yield* callees(fixture)
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", {}))
      yield* fixture.at(ports)
      const { ofMeshSocket, requests, sockets } = yield* callers(fixture)
      const uses = {
        "only reads": () => {},
        "ends first": (socket: Net.Socket) => void socket.end(),
        "writes first": (socket: Net.Socket) => void socket.write("hello"),
        "writes and ends first": (socket: Net.Socket) => void socket.end("hello")
      }
      const seen = yield* look(19, [
        ...Object.entries(sockets).flatMap(([who, open]) =>
          Object.entries(uses).map(([first, use]) => [`${who}, ${first}`, open(use)] as const)
        ),
        ["MeshSocket, only reads", ofMeshSocket(undefined)],
        ["MeshSocket, writes first", ofMeshSocket("hello")],
        ["MeshSocket, ends first", ofMeshSocket(new Socket.CloseEvent(1000))],
        ...Object.entries(requests).map(([who, ask]) => [who, ask("")] as const)
      ])
      assert.deepStrictEqual(count(wholes(seen)), {})
      assert.strictEqual(seen.length, 418)
    }), patience)

  it.live(
    "that was ended in order is whole for everybody, and goes on the other way until that is ended",
    () =>
      Effect.gen(function*() {
        const fixture = yield* setUp
        const heard: Array<string> = []
        yield* versionsServed(fixture, { heard: (text) => heard.push(text) })
        const { ofMeshSocket, requests, sockets } = yield* callers(fixture)
        const last = (use: (socket: Net.Socket) => void) => (socket: Net.Socket) => {
          socket.once("data", (chunk) => socket.once("end", () => heard.push(`after ${chunk}`)))
          use(socket)
        }
        const seen = yield* look(16, [
          ...Object.entries(sockets).flatMap(([who, open]) => [
            [`${who}, hears the end`, open((socket) => socket.write("end\n"))] as const,
            [`${who}, ends first`, open(last((socket) => socket.end("late\n")))] as const
          ]),
          ["MeshSocket, hears the end", ofMeshSocket("end\n")],
          ...Object.entries(requests).map(([who, ask]) => [who, ask("end/close")] as const)
        ])
        assert.deepStrictEqual(count(seen.filter((how) => !how.endsWith(": ended"))), {})
        assert.strictEqual(heard.filter((text) => text === "after LATE").length, 64)

        const halves = [sockets["a sidecar"], sockets.MeshDialer].map((open) =>
          [
            "",
            open((socket) => {
              socket.write("end\n")
              socket.once("end", () => socket.end("MORE"))
            })
          ] as const
        )
        const first = yield* look(16, halves)
        assert.deepStrictEqual(count(first), { ": ended": 32 })
        yield* Sockets.eventually(() => heard.filter((text) => text === "MORE|ended").length === 32)

        const called = yield* callees(fixture)
        const secrets = yield* fixture.secretsOf("web")
        const answers = yield* Effect.forEach(
          Array.from({ length: 45 }, () => called.ports).flat(),
          (port, i) => Effect.promise(() => Peer.call(secrets, Peer.versions[(i >> 2) % 2]!, port, "end")),
          { concurrency: 32 }
        )
        assert.deepStrictEqual(count(answers), { "LATE|ended": 180 })
        yield* Sockets.eventually(() => called.seen.length === 180)
        assert.deepStrictEqual(called.seen.filter((how) => !how.endsWith(": ended")), [])
      }),
    patience
  )

  it.live("of HTTP/2 that is cut before its last frame is a body for nobody", () =>
    Effect.gen(function*() {
      const fixture = yield* setUp
      const { chainPem, keyPem } = yield* fixture.secretsOf("api")
      const transports: Array<Net.Socket> = []
      const server = Http2.createSecureServer({ cert: chainPem, key: keyPem }, (request, response) => {
        response.stream.on("error", () => {})
        response.write("HALF", () => {
          const transport = transports.find(({ remotePort }) => remotePort === request.socket.remotePort)
          if (request.url === "/fin") transport?.end()
          else transport?.resetAndDestroy()
        })
      })
      server.on("sessionError", () => {})
      server.on("connection", (transport: Net.Socket) => transports.push(transport))
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () =>
          Effect.sync(() => {
            server.close()
            transports.forEach((transport) => transport.destroy())
          })
      )
      yield* fixture.at([(server.address() as Net.AddressInfo).port])
      const { http } = yield* HttpMesh.client(fixture.authority, fixture.discovery.layer, { pool: { http2: true } })
      const seen = yield* look(
        8,
        (["fin", "reset"] as const).map((path) => [
          path,
          Effect.match(Effect.flatMap(http.get(`http://api/${path}`), (answer) => answer.text), {
            onSuccess: () => "ended",
            onFailure: ({ message }) => message
          })
        ]),
        1
      )
      assert.deepStrictEqual(count(wholes(seen)), {})
      assert.strictEqual(seen.length, 16)
    }))
})
