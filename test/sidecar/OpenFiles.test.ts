import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestConsole } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as OpenFiles from "../../src/sidecar/OpenFiles.ts"
import { folder } from "../support/temporary.ts"

const limits = (soft: string) =>
  [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max processes             31853                31853                processes ",
    `Max open files            ${soft.padEnd(20)} 1048576              files     `,
    "Max locked memory         8388608              8388608              bytes     "
  ].join("\n")

const saidOf = (soft: string) =>
  Effect.gen(function*() {
    const path = join(yield* folder, "limits")
    writeFileSync(path, limits(soft))
    yield* OpenFiles.warnIfFew(path)
    return JSON.stringify(yield* TestConsole.logLines)
  }).pipe(Effect.provide(TestConsole.layer))

describe("OpenFiles", () => {
  it("reads the limit that is in force", () => {
    assert.strictEqual(OpenFiles.parse(limits("1024")), 1024)
    assert.isUndefined(OpenFiles.parse(limits("unlimited")))
    assert.isUndefined(OpenFiles.parse(""))
  })

  it.live("warns of a limit that a busy service would reach, and of no other", () =>
    Effect.gen(function*() {
      assert.include(yield* saidOf("1024"), "beyond about 512 connections")
      assert.strictEqual(yield* saidOf("65536"), "[]")
      assert.strictEqual(yield* saidOf("unlimited"), "[]")
    }))

  it.effect("says nothing where nobody tells the limit", () =>
    Effect.gen(function*() {
      yield* OpenFiles.warnIfFew("/does/not/exist")
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }).pipe(Effect.provide(TestConsole.layer)))
})
