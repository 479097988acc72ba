/** Tunnels over real sockets: streams behave as connections do, whatever happens between them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Frame from "../../../src/net/tunnel/Frame.ts"
import * as Tunnel from "../../../src/net/tunnel/Tunnel.ts"
import * as TunnelStream from "../../../src/net/tunnel/TunnelStream.ts"
import * as Splice from "../../../src/net/Splice.ts"
import * as Sockets from "../../support/sockets.ts"
import * as Tunnels from "../../support/tunnels.ts"

/** What one side of a stream has sent, and heard of the other one. */
class Side {
  readonly stream: TunnelStream.TunnelStream
  sent = ""
  ended = false
  heard = ""
  heardEnd = false
  closed = false
  error: unknown

  constructor(stream: TunnelStream.TunnelStream) {
    this.stream = stream
    stream.on("data", (bytes: Buffer) => {
      this.heard += bytes.toString("latin1")
    })
    stream.on("end", () => {
      this.heardEnd = true
    })
    stream.on("error", (error) => {
      this.error = error
    })
    stream.on("close", () => {
      this.closed = true
    })
  }

  write(text: string): void {
    if (this.ended || !this.stream.writable) return
    this.sent += text
    this.stream.write(text, "latin1")
  }

  end(): void {
    if (this.ended || !this.stream.writable) return
    this.ended = true
    this.stream.end()
  }
}

const Small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Step = Schema.Union([
  Schema.Struct({ act: Schema.Literal("open") }),
  Schema.Struct({
    act: Schema.Literals(["write", "write much", "end", "cut", "pause", "resume"]),
    stream: Small(5),
    far: Schema.Boolean
  }),
  Schema.Struct({ act: Schema.Literals(["turn", "retire"]) }),
  Schema.Struct({ act: Schema.Literal("lose"), far: Schema.Boolean, really: Small(10) })
])

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("Tunnel", () => {
  it.effect.prop(
    "loses and invents nothing, and takes no cut stream for a whole one",
    { steps: Schema.Array(Step).check(Schema.isMaxLength(60)) },
    ({ steps }) =>
      Effect.gen(function*() {
        const pair = yield* Tunnels.pair((stream) => far.set(stream.id, new Side(stream)))
        const near: Array<Side> = []
        const far = new Map<number, Side>()
        const cuts = new Set<number>()
        let isLost = false
        let isRetired = false
        for (const step of steps) {
          switch (step.act) {
            case "open":
              if (pair.dialler.hasRoom) near.push(new Side(pair.dialler.open("")))
              break
            case "turn":
              yield* turn
              break
            case "retire":
              isRetired = true
              pair.acceptor.retire()
              break
            case "lose":
              if (step.really > 0) break
              isLost = true
              ;(step.far ? pair.far : pair.near).destroy()
              break
            default: {
              const own = near[step.stream]
              if (own === undefined) break
              const side = step.far ? far.get(own.stream.id) : own
              if (side === undefined) break
              if (step.act === "write") side.write(`${side.sent.length},`)
              else if (step.act === "write much") side.write(`${side.sent.length},`.repeat(30_000))
              else if (step.act === "end") side.end()
              else if (step.act === "pause") side.stream.pause()
              else if (step.act === "resume") side.stream.resume()
              else {
                cuts.add(own.stream.id)
                side.stream.cut("failed")
              }
            }
          }
        }
        // Then everybody reads, and says the last word.
        yield* TestClock.withLive(Sockets.eventually(() => {
          for (const side of [...near, ...far.values()]) {
            side.stream.resume()
            side.end()
          }
          return [...near, ...far.values()].every(({ closed }) => closed)
        }))
        for (const own of near) {
          const other = far.get(own.stream.id)
          const isDisturbed = isLost || isRetired || cuts.has(own.stream.id)
          if (other === undefined) {
            assert.isTrue(isDisturbed)
            assert.isFalse(own.heardEnd)
            continue
          }
          for (const [from, to] of [[own, other], [other, own]] as const) {
            assert.isTrue(from.sent.startsWith(to.heard), "what is heard was sent")
            if (to.heardEnd) assert.deepStrictEqual([to.heard.length, from.ended], [from.sent.length, true])
            if (!isDisturbed) assert.deepStrictEqual([to.heardEnd, to.error], [true, undefined])
            if (!to.heardEnd) assert.isTrue(isDisturbed)
          }
        }
        assert.deepStrictEqual([pair.dialler.size, pair.acceptor.size], [0, 0])
      }),
    { arbitrary: { runs: 300 } }
  )

  it.live("goes on in one direction after the other has ended", () =>
    Effect.gen(function*() {
      const { accepted, dialler } = yield* Tunnels.pair()
      const near = new Side(dialler.open("http/1.1"))
      near.write("question")
      near.end()
      yield* Sockets.eventually(() => accepted.size === 1)
      const [stream] = accepted.values()
      const far = new Side(stream!)
      yield* Sockets.eventually(() => far.heardEnd)
      assert.deepStrictEqual([far.heard, stream!.protocol, far.closed], ["question", "http/1.1", false])
      far.write("answer")
      yield* Sockets.eventually(() => near.heard === "answer")
      far.end()
      yield* Sockets.eventually(() => near.closed && far.closed)
      assert.deepStrictEqual([near.error, far.error], [undefined, undefined])
      assert.deepStrictEqual(
        [near.stream.bytesWritten, near.stream.bytesRead, far.stream.bytesWritten, far.stream.bytesRead],
        [8, 6, 6, 8]
      )
    }))

  it.live("says what was written before it cuts", () =>
    Effect.gen(function*() {
      const { dialler } = yield* Tunnels.pair((stream) => {
        stream.write("last ")
        stream.write("words")
        stream.cut("limit")
      })
      const near = new Side(dialler.open(""))
      yield* Sockets.eventually(() => near.closed)
      assert.deepStrictEqual([near.heard, near.heardEnd], ["last words", false])
      assert.isTrue(TunnelStream.wasUnseen(near.error))
    }))

  it.live("says why a stream was cut", () =>
    Effect.gen(function*() {
      const { dialler } = yield* Tunnels.pair((stream) => stream.cut("denied"))
      const near = new Side(dialler.open(""))
      yield* Sockets.eventually(() => near.closed)
      assert.instanceOf(near.error, TunnelStream.StreamCut)
      assert.deepStrictEqual(Reflect.get(Object(near.error), "reason"), "denied")
      assert.strictEqual(Reflect.get(Object(near.error), "code"), "ECONNRESET")
    }))

  it.live("holds what a reader does not take within its window, and lets the other streams pass", () =>
    Effect.gen(function*() {
      const { accepted, dialler } = yield* Tunnels.pair()
      const stuck = dialler.open("")
      let written = 0
      const chunk = Buffer.alloc(16 * 1024)
      const fill = () => {
        while (stuck.write(chunk)) written += chunk.length
      }
      stuck.on("drain", fill)
      fill()
      const near = new Side(dialler.open(""))
      yield* Sockets.eventually(() => accepted.size === 2)
      const [held, other] = [...accepted.values()]
      held!.pause()
      const far = new Side(other!)
      for (let i = 0; i < 100; i++) near.write("x".repeat(10_000))
      yield* Sockets.eventually(() => far.heard.length === 1_000_000)
      assert.isAtMost(held!.readableLength, Tunnel.window)
      assert.isAtMost(written, Tunnel.window + 4 * stuck.writableHighWaterMark)
      // Once it reads, all of it comes.
      let read = 0
      held!.on("data", (bytes: Buffer) => {
        read += bytes.length
      })
      held!.resume()
      yield* Sockets.eventually(() => read > 8 * Tunnel.window)
      stuck.destroy()
    }))

  it.live("takes no more streams than it has said, and none once it retires", () =>
    Effect.gen(function*() {
      const { acceptor, accepted, dialler } = yield* Tunnels.pair(() => {}, 3)
      const streams = Array.from({ length: 5 }, () => new Side(dialler.open("")))
      yield* Sockets.eventually(() => streams.filter(({ closed }) => closed).length === 2)
      assert.deepStrictEqual([acceptor.size, dialler.hasRoom], [3, false])
      for (const stream of accepted.values()) {
        stream.end()
        stream.resume()
      }
      for (const side of streams) side.end()
      yield* Sockets.eventually(() => dialler.size === 0 && dialler.hasRoom)
      const last = new Side(dialler.open(""))
      yield* Sockets.eventually(() => accepted.size === 4)
      acceptor.retire()
      yield* Sockets.eventually(() => !dialler.hasRoom)
      last.write("still")
      last.end()
      const far = new Side([...accepted.values()].at(-1)!)
      yield* Sockets.eventually(() => far.heardEnd)
      far.end()
      yield* Sockets.eventually(() => dialler.socket.destroyed && acceptor.socket.destroyed)
      assert.deepStrictEqual([far.heard, last.error], ["still", undefined])
    }))

  it.live("serves the streams that were on their way when it retires", () =>
    Effect.gen(function*() {
      const { acceptor, accepted, dialler } = yield* Tunnels.pair((stream) => void stream.pipe(stream))
      // Neither has heard of the other.
      const late = new Side(dialler.open(""))
      late.write("late")
      acceptor.retire()
      yield* Sockets.eventually(() => late.heard === "late")
      assert.deepStrictEqual([accepted.size, dialler.hasRoom], [1, false])
      late.end()
      yield* Sockets.eventually(() => dialler.socket.destroyed && acceptor.socket.destroyed)
      assert.deepStrictEqual([late.heardEnd, late.error], [true, undefined])
    }))

  it.live("lets what is whole be read in its own time, after it has ended on both sides of a tunnel that retires", () =>
    Effect.gen(function*() {
      const { accepted, dialler, near } = yield* Tunnels.pair()
      const stream = dialler.open("")
      const errors: Array<unknown> = []
      stream.on("error", (error) => errors.push(error))
      stream.end("question")
      yield* Sockets.eventually(() => accepted.size === 1)
      const far = accepted.get(1)!
      far.resume()
      far.end(Buffer.alloc(10_000, "x"))
      dialler.retire()
      yield* Sockets.eventually(() => far.destroyed && near.readableEnded)
      let heard = 0
      stream.on("data", (bytes: Buffer) => heard += bytes.length)
      yield* Sockets.eventually(() => stream.closed)
      assert.strictEqual(heard, 10_000)
      assert.isTrue(stream.readableEnded)
      assert.deepStrictEqual(errors, [])
    }))

  it.live("asks a peer that is silent for a word, and cuts one that has none", () =>
    Effect.gen(function*() {
      const { acceptor, dialler, far } = yield* Tunnels.pair()
      const near = new Side(dialler.open(""))
      yield* Sockets.eventually(() => acceptor.size === 1)
      const asked = performance.now()
      dialler.sweep(asked, 0)
      yield* Sockets.eventually(() => dialler.heardAt > asked)
      far.pause()
      dialler.sweep(performance.now(), 0)
      yield* turn
      assert.isFalse(near.closed)
      dialler.sweep(performance.now(), 0)
      yield* Sockets.eventually(() => near.closed)
      assert.strictEqual(Reflect.get(Object(near.error), "reason"), "tunnel")
    }))
})

describe("a connection that is lost", () => {
  const bytes = (text: string) => {
    const header = Buffer.alloc(Frame.headerBytes)
    return (stream: number) => {
      Frame.writeHeader(header, 0, Frame.types.data, text.length, stream)
      return Buffer.concat([header, Buffer.from(text)])
    }
  }
  const whole = bytes("whole")
  const half = bytes("half")
  const conversation = [
    Frame.hello({ maxStreams: 0 }),
    Frame.open(1, "http/1.1"),
    whole(1),
    Frame.open(2, ""),
    half(2),
    Frame.end(1),
    Frame.credit(2, 100),
    half(2)
  ]
  const said = Buffer.concat(conversation)
  /** Where the end of the first stream has been said. */
  const ended = Buffer.concat(conversation.slice(0, 6)).length

  it.live.each([["in order", true], ["by force", false]] as const)(
    "%s, at any byte, cuts every stream, and none looks whole that was not",
    ([, inOrder]) =>
      Effect.gen(function*() {
        for (let at = 0; at <= said.length; at++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { far, near } = yield* Tunnels.sockets
            const sides: Array<Side> = []
            const tunnel = new Tunnel.Tunnel(Splice.plain(far), {
              maxStreams: 100,
              idle: () => {},
              retired: () => {},
              opened: (stream) => void sides.push(new Side(stream))
            })
            near.on("error", () => {})
            near.resume()
            near.write(said.subarray(0, at))
            // By force what is on its way may be lost: then it has to come first.
            if (inOrder) near.end()
            else {
              yield* Sockets.eventually(() => far.bytesRead === at)
              near.resetAndDestroy()
            }
            yield* Sockets.eventually(() => far.closed && sides.every(({ closed }) => closed))
            assert.strictEqual(tunnel.size, 0)
            const [first, second] = sides
            if (first !== undefined) {
              assert.strictEqual(first.heardEnd, at >= ended, `cut at byte ${at}`)
              if (first.heardEnd) assert.strictEqual(first.heard, "whole")
            }
            if (second !== undefined) {
              assert.isFalse(second.heardEnd)
              assert.isTrue("halfhalf".startsWith(second.heard))
              assert.instanceOf(second.error, TunnelStream.StreamCut)
            }
          }))
        }
      })
  )
})

describe("a hostile peer of a tunnel", () => {
  const hostile = Effect.fnUntraced(function*(opened: (stream: TunnelStream.TunnelStream) => void = () => {}) {
    const { far, near } = yield* Tunnels.sockets
    const streams: Array<TunnelStream.TunnelStream> = []
    const tunnel = new Tunnel.Tunnel(Splice.plain(far), {
      maxStreams: 100,
      idle: () => {},
      retired: () => {},
      opened: (stream) => {
        streams.push(stream)
        opened(stream)
      }
    })
    near.on("error", () => {})
    near.resume()
    return { tunnel, near, streams }
  })

  const data = (stream: number, length: number): Buffer => {
    const bytes = Buffer.alloc(Frame.headerBytes + length)
    Frame.writeHeader(bytes, 0, Frame.types.data, length, stream)
    return bytes
  }

  it.live.each<readonly [string, ReadonlyArray<Buffer>]>([
    ["sends more than its window", [Frame.open(1, ""), ...Array.from({ length: 9 }, () => data(1, 8000))]],
    ["sends tiny frames beyond its window", [Frame.open(1, ""), ...Array.from({ length: 1100 }, () => data(1, 1))]],
    ["sends data of a stream that it has not opened", [data(5, 1)]],
    ["ends one that it has not opened", [Frame.end(1)]],
    ["cuts one that it has not opened", [Frame.reset(1, "failed")]],
    ["opens one twice", [Frame.open(1, ""), Frame.open(1, "")]],
    ["opens one before the last", [Frame.open(2, ""), Frame.open(1, "")]],
    ["ends one twice", [Frame.open(1, ""), Frame.end(1), Frame.end(1)]],
    ["sends data after the end", [Frame.open(1, ""), Frame.end(1), data(1, 1)]],
    ["gives endless credit", [Frame.open(1, ""), Frame.credit(1, 2 ** 32 - 1)]],
    ["speaks something else", [Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n")]]
  ])("that %s loses its tunnel", ([, frames]) =>
    Effect.gen(function*() {
      const { near, streams, tunnel } = yield* hostile((stream) => stream.pause())
      near.write(Buffer.concat(frames))
      yield* Sockets.eventually(() => near.closed)
      assert.strictEqual(tunnel.size, 0)
      assert.isTrue(streams.every(({ destroyed }) => destroyed))
    }))

  it.live("that opens a million streams only to cut them loses its tunnel long before", () =>
    Effect.gen(function*() {
      const { near, streams } = yield* hostile()
      let opened = 0
      const more = () => {
        while (opened < 1_000_000 && !near.destroyed) {
          opened++
          const goesOn = near.write(Buffer.concat([Frame.open(opened, ""), Frame.reset(opened, "failed")]))
          if (!goesOn) return void near.once("drain", more)
        }
      }
      more()
      yield* Sockets.eventually(() => near.closed)
      assert.isBelow(streams.length, 100_000)
    }))

  it.live("that opens a million streams loses its tunnel long before, and never has more than it may", () =>
    Effect.gen(function*() {
      let most = 0
      const { near, streams, tunnel } = yield* hostile(() => (most = Math.max(most, tunnel.size)))
      let opened = 0
      const more = () => {
        while (opened < 1_000_000 && !near.destroyed) {
          if (!near.write(Frame.open(++opened, ""))) return void near.once("drain", more)
        }
      }
      more()
      yield* Sockets.eventually(() => near.closed)
      assert.deepStrictEqual([most, streams.length, tunnel.size], [100, 100, 0])
      assert.isBelow(opened, 1_000_000)
      assert.isTrue(streams.every(({ destroyed }) => destroyed))
    }))

  it.live("that stalls one stream in each direction delays none of the others, and costs two windows", () =>
    Effect.gen(function*() {
      const { near, streams } = yield* hostile((stream) => stream.id === 1 ? stream.pause() : stream.pipe(stream))
      const echoed = new Map<number, number>()
      const reader = new Frame.Reader({
        begins: () => {},
        data: (stream, bytes) => void echoed.set(stream, (echoed.get(stream) ?? 0) + bytes.length),
        open: () => {},
        end: () => {},
        reset: () => {},
        credit: () => {},
        ping: () => {},
        pong: () => {},
        goAway: () => {},
        hello: () => {},
        fault: () => {}
      })
      near.on("data", (bytes: Buffer) => reader.feed(bytes))
      // It fills the window of the first, which nobody reads, and gives no credit for what that one says.
      near.write(Buffer.concat([Frame.open(1, ""), ...Array.from({ length: 4 }, () => data(1, 15_000))]))
      yield* Sockets.eventually(() => streams.length === 1)
      streams[0]!.write(Buffer.alloc(10 * Tunnel.window))
      for (let id = 2; id <= 50; id++) near.write(Buffer.concat([Frame.open(id, ""), data(id, 10_000)]))
      yield* Sockets.eventually(() => echoed.size === 50 && [...echoed.values()].every((bytes) => bytes >= 10_000))
      assert.isAtMost(streams[0]!.readableLength, Tunnel.window)
      assert.isAtMost(echoed.get(1)!, Tunnel.window)
    }))

  it.live("that does not read what it asks for is cut", () =>
    Effect.gen(function*() {
      const { near } = yield* hostile()
      near.pause()
      const pings = Buffer.concat(Array.from({ length: 1000 }, () => Frame.ping(Buffer.alloc(8))))
      let sent = 0
      const more = () => {
        while (sent++ < 10_000 && !near.destroyed) if (!near.write(pings)) return void near.once("drain", more)
      }
      more()
      yield* Sockets.eventually(() => near.closed)
      assert.isBelow(sent, 10_000)
    }))

  it.live("that sends tiny pieces to a stream that is not read holds little memory by them", () =>
    Effect.gen(function*() {
      const { near, streams } = yield* hostile((stream) => stream.pause())
      const filling = Buffer.concat([Frame.open(2, ""), ...Array.from({ length: 4 }, () => data(2, 3000))])
      near.write(Frame.open(1, ""))
      for (let i = 0; i < 500; i++) near.write(data(1, 1))
      near.write(filling)
      yield* Sockets.eventually(() => streams.length === 2 && streams[1]!.bytesRead === 12_000)
      assert.strictEqual(streams[0]!.readableLength, 500)
    }))
})
