import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as CompileCache from "../../src/cli/CompileCache.ts"
import * as temporary from "../support/temporary.ts"

describe("the folder for what was compiled", () => {
  it.live("is one of systemd's, or one beside the caches of other programs", () =>
    Effect.gen(function*() {
      const HOME = yield* temporary.folder
      const [CACHE_DIRECTORY, XDG_CACHE_HOME] = [join(HOME, "systemd"), join(HOME, "xdg")]
      for (const folder of [CACHE_DIRECTORY, XDG_CACHE_HOME]) mkdirSync(folder, { mode: 0o700 })
      assert.strictEqual(
        CompileCache.folderOf({ CACHE_DIRECTORY: `${CACHE_DIRECTORY}:/other`, XDG_CACHE_HOME, HOME }),
        CACHE_DIRECTORY
      )
      assert.strictEqual(CompileCache.folderOf({ XDG_CACHE_HOME, HOME }), join(XDG_CACHE_HOME, "effect-mesh"))
      assert.strictEqual(CompileCache.folderOf({ HOME }), join(HOME, ".cache/effect-mesh"))
    }))

  it.live("is made so that nobody else can write there", () =>
    Effect.gen(function*() {
      const folder = CompileCache.folderOf({ HOME: yield* temporary.folder })!
      assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
    }))

  it.live.each(["", ".cache", ".cache/effect-mesh"])(
    "is none where others can write to the home's %j",
    (name) =>
      Effect.gen(function*() {
        const HOME = yield* temporary.folder
        mkdirSync(join(HOME, ".cache/effect-mesh"), { recursive: true })
        chmodSync(join(HOME, name), 0o770)
        assert.isUndefined(CompileCache.folderOf({ HOME }))
      })
  )

  it.live("is none where it can not be made, or nobody says where", () =>
    Effect.gen(function*() {
      const HOME = yield* temporary.folder
      writeFileSync(join(HOME, ".cache"), "")
      assert.isUndefined(CompileCache.folderOf({ HOME }))
      assert.isUndefined(CompileCache.folderOf({ HOME: join(HOME, ".cache") }))
      assert.isUndefined(CompileCache.folderOf({ XDG_CACHE_HOME: "relative", HOME }))
      assert.isUndefined(CompileCache.folderOf({}))
    }))
})
