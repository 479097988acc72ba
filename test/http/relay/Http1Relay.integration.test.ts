/** Requests through the machines of HTTP/1.1, byte by byte: what a client and an instance get, and that nothing is left behind. */
import type * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type * as Exchange from "../../../src/http/relay/Exchange.ts"
import * as Fuzz from "../../fuzz/relay.ts"
import * as Relays from "../../support/relays.ts"
import * as Sockets from "../../support/sockets.ts"

/** An instance that does with each connection what the test says, once a whole head has come. */
const instance = (answer: (socket: Net.Socket, request: string, turn: number) => void) => {
  let turn = 0
  return Sockets.server((socket) => {
    let text = ""
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1")
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const request = text.slice(0, end + 4)
        text = text.slice(end + 4)
        answer(socket, request, turn++)
      }
    })
    socket.on("end", () => socket.end())
  })
}

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`

const statuses = (text: string): ReadonlyArray<string> => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, it]) => it!)

const nothingLeft = (proxy: Relays.Proxy) =>
  Sockets.eventually(() =>
    proxy.circuit.connections === 0 && proxy.circuit.pending === 0 && proxy.budget.requests === 0 &&
    proxy.budget.retries === 0 && proxy.deadlines.size === 0
  )

describe("a relay of HTTP/1.1", () => {
  it.live("never takes what follows an answer for the answer to the next request", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket, request, turn) =>
        socket.write(
          turn === 0
            ? "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray"
            : `HTTP/1.1 200 OK\r\ncontent-length: ${request.split(" ")[1]!.length}\r\n\r\n${request.split(" ")[1]}`
        )
      )
      // One connection, so that the second request waits for it.
      const proxy = yield* Relays.make(server.port, { limits: { maxConnections: 1 } })
      const [one, two] = [yield* Sockets.connect(proxy.port), yield* Sockets.connect(proxy.port)]
      const [first, second] = [Sockets.record(one), Sockets.record(two)]
      one.write(get("/first"))
      // The connection is not kept after the answer.
      yield* Sockets.eventually(() => proxy.circuit.connections === 1 || first.bytes() > 0)
      two.write(get("/second"))
      yield* first.until("{}")
      yield* second.until("/second")
      assert.notInclude(second.text() + first.text(), "stray")
    }))

  const answering = instance((socket, request) => {
    const body = `${request.split("\r\n").filter((line) => /^(?:host|te):/i.test(line)).join(" ")};`
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  })

  it.live("ends the connection of a client that says so in the words of old proxies", () =>
    Effect.gen(function*() {
      const proxy = yield* Relays.make((yield* answering).port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(get("/", "Proxy-Connection: close\r\n"))
      yield* answer.until("a.test;")
      assert.include(answer.text(), "connection: close")
    }))

  it.live("goes on after a request for HTTP/2 that was answered in HTTP/1.1", () =>
    Effect.gen(function*() {
      const proxy = yield* Relays.make((yield* answering).port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n") + get("/", "TE: gzip, trailers\r\n"))
      yield* answer.until("te: trailers;")
      assert.notInclude(answer.text(), "connection: close")
    }))

  it.live("takes the host of a request line for the one that a request has to name", () =>
    Effect.gen(function*() {
      const proxy = yield* Relays.make((yield* answering).port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write("GET http://b.test/ HTTP/1.1\r\n\r\n")
      yield* answer.until("host: b.test;")
    }))

  it.live("uses no connection any more that was made before it is to be renewed", () =>
    Effect.gen(function*() {
      const seen: Array<Net.Socket> = []
      const held: Array<() => void> = []
      const server = yield* instance((socket, request) => {
        seen.push(socket)
        const answer = () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        if (request.includes("/held")) held.push(answer)
        else answer()
      })
      const proxy = yield* Relays.make(server.port)
      const ask = (path: string) =>
        Effect.map(Sockets.connect(proxy.port), (socket) => {
          socket.write(get(path))
          return Sockets.record(socket)
        })
      yield* (yield* ask("/first")).until("ok")
      const slow = yield* ask("/held")
      yield* Sockets.eventually(() => held.length === 1)
      yield* (yield* ask("/other")).until("ok")
      proxy.connections.renew()
      held[0]!()
      yield* slow.until("ok")
      yield* (yield* ask("/after")).until("ok")
      assert.strictEqual(seen.slice(0, 3).includes(seen[3]!), false, "a connection of before was used again")
    }))

  it.live("uses no connection any more that has lasted for long enough", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"))
      const proxy = yield* Relays.make(server.port, { maxAgeMillis: 0 })
      const client = yield* Sockets.connect(proxy.port)
      const heard = Sockets.record(client)
      client.write(get("/one"))
      yield* heard.until("{}")
      yield* Sockets.eventually(() => proxy.circuit.connections === 0)
      client.write(get("/two"))
      yield* Sockets.eventually(() => statuses(heard.text()).length === 2)
      assert.strictEqual(server.sockets.length, 2)
    }))

  it.live("sends nothing on of a request whose client has left while it was held", () =>
    Effect.gen(function*() {
      let asked = 0
      const server = yield* instance((socket) => {
        asked++
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
      })
      const begins: Array<() => void> = []
      const proxy = yield* Relays.make(server.port, { hold: (begin) => begins.push(begin) > 0 })
      const client = yield* Sockets.connect(proxy.port)
      client.write(get("/"))
      yield* Sockets.eventually(() => begins.length === 1)
      client.destroy()
      yield* Sockets.eventually(() => proxy.clients[0]!.destroyed)
      begins[0]!()
      yield* nothingLeft(proxy)
      assert.deepStrictEqual([asked, proxy.reports[0]!.end], [0, "gone"])
    }))

  it.live("passes on the whole answer of an instance that ends before a slow client has taken it", () =>
    Effect.gen(function*() {
      const size = 24 * 1_048_576
      for (const head of [`content-length: ${size}\r\nconnection: close`, "connection: close"]) {
        const server = yield* instance((socket) => {
          socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`)
          socket.end(Buffer.alloc(size, "x"))
        })
        const proxy = yield* Relays.make(server.port)
        const client = yield* Sockets.connect(proxy.port)
        client.pause()
        client.write(get("/"))
        const passed = () => proxy.clients[0]?.writableLength ?? 0
        yield* Sockets.eventually(() => passed() > 0)
        const answer = Sockets.record(client)
        client.on("data", () => {
          client.pause()
          setImmediate(() => client.resume())
        })
        client.resume()
        yield* Sockets.eventually(() => answer.bytes() >= size || proxy.reports.length > 0)
        yield* Sockets.eventually(() => proxy.reports.length > 0)
        assert.deepStrictEqual(proxy.reports.map(({ end, sent }) => [end, sent]), [["answered", size]])
      }
    }))

  it.live("does not open a tunnel that nobody has asked for", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\nhello"))
      const proxy = yield* Relays.make(server.port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(get("/"))
      yield* answer.until("protocol error")
      assert.deepStrictEqual(statuses(answer.text()), ["502"])
      yield* nothingLeft(proxy)
    }))

  it.live("opens a tunnel that was asked for, with what either side has sent ahead", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\nhello"))
      const proxy = yield* Relays.make(server.port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(`${get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n")}ahead`)
      yield* answer.until("\r\n\r\nhello")
      const other = Sockets.record(server.sockets[0]!)
      client.end(" and after")
      assert.strictEqual(yield* other.ending, "ended")
      assert.include(other.text(), "after")
      assert.strictEqual(yield* answer.ending, "ended")
      yield* nothingLeft(proxy)
    }))

  it.live("bounds the provisional answers to a request", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) =>
        socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10_000))
      )
      const proxy = yield* Relays.make(server.port)
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(get("/"))
      yield* answer.until("protocol error")
      assert.strictEqual(statuses(answer.text()).at(-1), "502")
      assert.isBelow(statuses(answer.text()).length, 40)
      yield* nothingLeft(proxy)
    }))

  it.live("does not use a connection again that any line says to close", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) =>
        socket.write("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
      )
      const proxy = yield* Relays.make(server.port)
      const client = yield* Sockets.connect(proxy.port)
      client.write(get("/"))
      yield* Sockets.eventually(() => proxy.reports.length === 1)
      yield* nothingLeft(proxy)
    }))

  it.live("reads on once a request that had to wait goes on", () =>
    Effect.gen(function*() {
      const body = "y".repeat(1_000_000)
      const received: Array<number> = []
      const server = yield* Sockets.server((socket) => {
        let bytes = 0
        socket.on("data", (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes < body.length) return
          received.push(bytes)
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        })
      })
      let begin: (() => void) | undefined
      const proxy = yield* Relays.make(server.port, {
        hold: (go) => {
          begin = go
          return true
        }
      })
      const client = yield* Sockets.connect(proxy.port)
      const answer = Sockets.record(client)
      client.write(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      yield* Sockets.eventually(() => proxy.clients[0]?.isPaused() === true)
      begin?.()
      yield* Sockets.eventually(() => statuses(answer.text()).length === 1)
      assert.isAbove(received[0]!, body.length)
    }))

  it.live("takes no more requests from a client that does not read its answers", () =>
    Effect.gen(function*() {
      const server = yield* instance((socket) => socket.write("HTTP/1.1 204 No Content\r\n\r\n"))
      let handled = 0
      const proxy = yield* Relays.make(server.port, {
        denies: () => ++handled > 0
      })
      const client = yield* Sockets.connect(proxy.port)
      client.pause()
      const some = get("/denied").repeat(1000)
      let flowing = true
      for (let i = 0; i < 400 && flowing; i++) flowing = client.write(some) || client.writableLength < 32 * 1_048_576
      let before = -1
      while (before !== handled) {
        before = handled
        yield* Effect.sleep("100 millis")
      }
      const { writableHighWaterMark, writableLength } = proxy.clients[0]!
      assert.isBelow(writableLength, 2 * writableHighWaterMark)
    }))

  it.live("leaves nothing behind, whatever clients and instances send", () =>
    Effect.gen(function*() {
      const { differences, requests, runs } = yield* Fuzz.run(7, (runs) => runs >= 400)
      assert.deepStrictEqual(differences, [])
      assert.isAtLeast(runs, 400)
      assert.isAbove(requests, 100)
    }), 30_000)
})

/** An instance that takes so many bytes of a body and then says that it has not looked at the request, or can not be reached. */
const refusing = (failure: Exchange.Failure, after = 0): Exchange.Connections => ({
  version: "2",
  remote: "192.0.2.1:1",
  begin: (attempt) => {
    const refuse = () => void setImmediate(() => attempt.failed(failure))
    if (failure._tag === "NotConnected") {
      refuse()
      return { cancel: () => {} }
    }
    let taken = 0
    attempt.connected({
      local: "192.0.2.2:1",
      send: ({ body }) => void (body === "none" && refuse()),
      write: (bytes) => {
        const before = taken
        taken += bytes.length
        if (before < after && taken >= after) refuse()
        return true
      },
      end: () => {},
      pause: () => {},
      resume: () => {},
      cancel: () => {}
    })
    return { cancel: () => {} }
  }
})

const post = (bytes: number) =>
  `POST /it HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`

describe("a connection that was kept, and ends just as the next request comes", () => {
  const asked = Effect.fnUntraced(function*(
    request: string,
    ending: string,
    how: "end" | "resetAndDestroy",
    isAcrossMesh = true
  ) {
    const answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    // Each connection answers one request, and ends at the next one.
    const seen = new WeakSet<Net.Socket>()
    const server = yield* instance((socket) => {
      if (seen.has(socket)) return void socket[how]()
      seen.add(socket)
      socket.write(answer)
    })
    const proxy = yield* Relays.make(server.port, { again: true, isAcrossMesh })
    const client = yield* Sockets.connect(proxy.port)
    const heard = Sockets.record(client)
    client.write(get("/one"))
    yield* heard.until("{}")
    client.write(request)
    yield* Sockets.eventually(() => proxy.reports.length === 2 && statuses(heard.text()).length === 2)
    yield* heard.until(ending)
    return { statuses: statuses(heard.text()), connections: server.sockets.length }
  })

  it.live.each(["end", "resetAndDestroy"] as const)(
    "costs nothing where the request may be sent again (%s)",
    (how) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* asked(get("/two"), "{}", how), { statuses: ["200", "200"], connections: 2 })
      })
  )

  it.live.each(["end", "resetAndDestroy"] as const)("is a 503 otherwise (%s)", (how) =>
    Effect.gen(function*() {
      const { statuses } = yield* asked(post(0), "connection termination", how)
      assert.deepStrictEqual(statuses, ["200", "503"])
    }))

  it.live("is a 503 where an application resets it, which has seen the request", () =>
    Effect.gen(function*() {
      const { connections, statuses } = yield* asked(get("/two"), "connection termination", "resetAndDestroy", false)
      assert.deepStrictEqual([statuses, connections], [["200", "503"], 1])
    }))
})

describe("a request that no instance has seen", () => {
  /** Tells how long the body was. */
  const counting = Sockets.server((socket) => {
    let text = ""
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1")
      const head = text.indexOf("\r\n\r\n")
      const body = text.length - head - 4
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (head < 0 || body < length) return
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${String(body).length}\r\n\r\n${body}`)
    })
    socket.on("end", () => socket.end())
  })
  const asked = Effect.fnUntraced(function*(first: Exchange.Connections, request: string, ending: string) {
    const proxy = yield* Relays.make((yield* counting).port, { first })
    const client = yield* Sockets.connect(proxy.port)
    const heard = Sockets.record(client)
    client.write(request)
    yield* heard.until(ending)
    yield* Sockets.eventually(() => proxy.reports.length === 1 && proxy.deadlines.size === 0)
    return { text: heard.text(), attempts: proxy.reports[0]?.attempts }
  })
  const unreachable: Exchange.Failure = { _tag: "NotConnected", timedOut: false, why: "refused" }

  it.live.each(
    [
      ["whose connection is refused", unreachable, 0],
      ["whose stream is refused", { _tag: "Refused" }, 0],
      ["whose stream is refused after its body was sent", { _tag: "Refused" }, 1000]
    ] as const
  )("goes to another one: %s", ([, failure, bytes]) =>
    Effect.gen(function*() {
      const request = bytes === 0 ? get("/it") : post(bytes)
      const { attempts, text } = yield* asked(refusing(failure, bytes), request, `\r\n\r\n${bytes}`)
      assert.deepStrictEqual([statuses(text), attempts], [["200"], 2])
    }))

  it.live.each(
    [
      ["may have been seen", { _tag: "Reset", why: "stream" }, get("/it"), "remote reset"],
      [
        "took all its time to connect",
        { _tag: "NotConnected", timedOut: true, why: "late" },
        get("/it"),
        "connection timeout"
      ],
      ["has a body of which a part is gone", { _tag: "Refused" }, post(200_000), "remote refused stream reset"]
    ] as const
  )("is answered 503 where it %s", ([, failure, request, reason]) =>
    Effect.gen(function*() {
      const { attempts, text } = yield* asked(refusing(failure, 200_000), request, reason)
      assert.deepStrictEqual([statuses(text), attempts], [["503"], 1])
    }))
})
