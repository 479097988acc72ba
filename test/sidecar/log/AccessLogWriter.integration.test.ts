/** Where the lines of an access log go when their receiver does not take them, and when the sidecar stops. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { TestConsole } from "effect/testing"
import { execFileSync, spawn } from "node:child_process"
import { closeSync, constants, existsSync, openSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import * as AccessLogWriter from "../../../src/sidecar/log/AccessLogWriter.ts"
import { factsOf } from "../../support/facts.ts"
import { eventually } from "../../support/sockets.ts"
import { folder } from "../../support/temporary.ts"

const logs = (path: string, text: string) => ({
  to: { type: "file", path } as const,
  format: { text },
  listenerLogs: false
})

describe("AccessLogWriter", () => {
  it.live("writes what waits when its scope closes", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "access.log")
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* AccessLogWriter.make({ service: "web" })
        assert.isUndefined(writer.log())
        writer.follow(logs(path, "%REQ(:METHOD)%"))
        assert.isUndefined(writer.listenerLog())
        for (let i = 0; i < 1000; i++) writer.log()?.(factsOf({ request: { ":method": "GET" } }))
      }))
      assert.strictEqual(readFileSync(path, "utf8"), "GET\n".repeat(1000))
    }))

  it.live("opens a file anew when it was moved away, and loses nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "access.log")
      const reopening = new Set<() => void>()
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* AccessLogWriter.make({ service: "web" })
        writer.follow(logs(path, "%REQ(:PATH)%"))
        const write = (from: number) => {
          for (let i = from; i < from + 1000; i++) writer.log()?.(factsOf({ request: { ":path": String(i) } }))
        }
        write(0)
        yield* eventually(() => existsSync(path))
        renameSync(path, `${path}.1`)
        for (const reopen of reopening) reopen()
        write(1000)
      })).pipe(Effect.provideService(AccessLogWriter.Reopening, reopening))
      const numbers = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n").map(Number)
      assert.deepStrictEqual(numbers(`${path}.1`), Array.from({ length: 1000 }, (_, i) => i))
      assert.deepStrictEqual(numbers(path), Array.from({ length: 1000 }, (_, i) => 1000 + i))
      assert.strictEqual(reopening.size, 0)
    }))

  it.live("drops what a receiver that does not read leaves waiting, and says so", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "pipe")
      execFileSync("sh", ["-c", `mkfifo ${JSON.stringify(path)}`])
      // Somebody has it open, and does not read.
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const line = "x".repeat(1023)
      const written = 4096
      const read = Deferred.makeUnsafe<string>()
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* AccessLogWriter.make({ service: "web" })
        writer.follow(logs(path, line))
        for (let i = 0; i < written; i++) writer.log()?.(factsOf({}))
        // From now on it is read.
        const taker = spawn("cat", [path], { stdio: ["ignore", "pipe", "inherit"] })
        const chunks: Array<Buffer> = []
        taker.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
        taker.once("close", () => Deferred.doneUnsafe(read, Effect.succeed(Buffer.concat(chunks).toString())))
        yield* eventually(() => chunks.length > 0)
      }))
      closeSync(reader)
      const taken = (yield* Deferred.await(read)).split("\n")
      assert.strictEqual(taken.pop(), "")
      assert.isAbove(taken.length, 1000)
      assert.isBelow(taken.length, 1100)
      assert.deepStrictEqual(taken.filter((each) => each !== line), [])
      const said = (yield* TestConsole.logLines).map(String).filter((said) => said.includes("its receiver is too slow"))
      assert.strictEqual(said.length, 1)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("writes to the standard output of its process", () =>
    Effect.gen(function*() {
      const script = `
        import { Effect } from "effect"
        import * as AccessLogWriter from ${
        JSON.stringify(new URL("../../../src/sidecar/log/AccessLogWriter.ts", import.meta.url))
      }
        import { factsOf } from ${JSON.stringify(new URL("../../support/facts.ts", import.meta.url))}
        await Effect.runPromise(Effect.scoped(Effect.map(AccessLogWriter.make({ service: "web" }), (writer) => {
          writer.follow({ to: { type: "stdout" }, format: { text: "%RESPONSE_CODE%" }, listenerLogs: false })
          writer.log()(factsOf({ RESPONSE_CODE: 200 }))
        })))`
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        cwd: join(import.meta.dirname, "../../.."),
        stdio: ["ignore", "pipe", "inherit"]
      })
      const text = yield* Effect.promise(async () => {
        let text = ""
        for await (const chunk of child.stdout) text += String(chunk)
        return text
      })
      assert.strictEqual(text, "200\n")
    }), 20_000)
})
