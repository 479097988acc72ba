import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestConsole } from "effect/testing"
import { Command } from "effect/cli"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { ca } from "../../src/cli/ca.ts"
import * as temporary from "../support/temporary.ts"

const run = (...args: ReadonlyArray<string>) =>
  Command.runWith(ca, { version: "0" })([...args]).pipe(Effect.provide(NodeServices.layer))

const withFile = Effect.fnUntraced(function*(content: string) {
  const file = join(yield* temporary.folder, "ca.json")
  writeFileSync(file, content)
  return file
})

describe("effect-mesh ca", () => {
  it.effect("prints a configuration that may be changed and set again", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      yield* run("get-config", "--http-addr", agent.address)
      const shown = JSON.parse(String((yield* TestConsole.logLines)[0]))
      assert.strictEqual(shown.Provider, "consul")
      assert.strictEqual(shown.Config.LeafCertTTL, "72h")
      const file = yield* withFile(JSON.stringify({ ...shown, Config: { ...shown.Config, PrivateKeyBits: 384 } }))
      yield* run("set-config", "--config-file", file, "--http-addr", agent.address)
      yield* run("get-config", "--http-addr", agent.address)
      const lines = yield* TestConsole.logLines
      assert.strictEqual(lines[1], "Configuration updated!")
      assert.strictEqual(JSON.parse(String(lines[2])).Config.PrivateKeyBits, 384)
    }))

  it.effect("says what is wrong with a configuration, and with its file", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      const set = (file: string) => Effect.flip(run("set-config", "--config-file", file, "--http-addr", agent.address))
      const files = yield* withFile(JSON.stringify({ Provider: "files", Config: {} }))
      assert.include((yield* set(files)).message, "error configuring provider: must provide CertFile")
      const unknown = yield* withFile(JSON.stringify({ Provider: "aws-pca", Config: {} }))
      assert.include((yield* set(unknown)).message, "unknown CA provider \"aws-pca\"")
      assert.include((yield* set(yield* withFile("[]"))).message, "is no configuration")
      assert.include((yield* set("/nowhere.json")).message, "/nowhere.json cannot be read")
    }))
})
