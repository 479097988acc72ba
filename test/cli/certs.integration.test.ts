import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { Command } from "effect/cli"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { certs } from "../../src/cli/certs.ts"
import * as FileIdentity from "../../src/watch/FileIdentity.ts"
import { eventually } from "../support/sockets.ts"
import * as temporary from "../support/temporary.ts"

const run = (...args: ReadonlyArray<string>) =>
  Command.runWith(certs, { version: "0" })([...args]).pipe(Effect.provide(NodeServices.layer))

const read = (folder: string) => {
  const files = FileIdentity.inFolder(folder)
  const [cert, key, roots] = [files.certFile, files.keyFile, files.rootsFile].map((file) => readFileSync(file, "utf8"))
  return Result.getOrThrow(FileIdentity.parse(cert!, key!, roots!))
}

describe("effect-mesh certs", () => {
  it.live("writes once what a service can be itself with, and keeps the key to its owner", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const folder = join(yield* temporary.folder, "certs")
      yield* run("--service", "web", "--write", folder, "--once", "--http-addr", agent.address)
      assert.strictEqual(read(folder).leaf.identity.service, "web")
      assert.strictEqual(statSync(FileIdentity.inFolder(folder).keyFile).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(folder).sort(), ["cert.pem", "key.pem", "roots.pem"])
    }))

  it.live("follows a rotation", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const folder = yield* temporary.folder
      const running = yield* Effect.forkChild(run("--service", "web", "--write", folder, "--http-addr", agent.address))
      yield* eventually(() => existsSync(FileIdentity.inFolder(folder).certFile))
      const issuer = read(folder).leaf.certificate.authorityKeyId
      yield* agent.rotateRoots
      const current = () => Result.getSuccess(Result.try(() => read(folder)))
      yield* eventually(() => {
        const now = current()
        return now._tag === "Some" && now.value.leaf.certificate.authorityKeyId !== issuer &&
          now.value.bundle.roots.length === 2
      })
      yield* Fiber.interrupt(running)
    }))

  it.live("says that a folder can not be written", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const error = yield* Effect.flip(
        run("--service", "web", "--write", "/dev/null/certs", "--once", "--http-addr", agent.address)
      )
      assert.include(error.message, "cannot keep certificates in /dev/null/certs")
    }))
})
