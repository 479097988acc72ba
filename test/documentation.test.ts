/** The programs in the documentation compile as they stand there, against the entry points that users import. Links have targets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`)
]

const programs = pages.flatMap((page) =>
  [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n(.*?)^```/gms)]
    .map(([, text], index) => ({ name: `${page.replaceAll(/\W/g, "-")}-${index}.ts`, text: text! }))
)

const anchorsOf = (path: string): ReadonlyArray<string> =>
  statSync(path).isDirectory() ?
    [] :
    [...readFileSync(path, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-")
    )

/** Links of a page to other pages and files, those in programs left out. */
const brokenLinks = (page: string): ReadonlyArray<string> =>
  [...readFileSync(join(root, page), "utf8").replaceAll(/^```.*?^```/gms, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !link.startsWith("https:"))
    .filter((link) => {
      const [path = "", anchor] = link.split("#")
      const target = path === "" ? join(root, page) : join(root, dirname(page), path)
      return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
    })

/** Where packages are found: within this one. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(root, "test", ".documentation-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const config = {
  extends: "../../tsconfig.json",
  compilerOptions: {
    rootDir: "../..",
    noUnusedLocals: false,
    paths: { "effect-mesh": ["../../src/index.ts"], "effect-mesh/testing": ["../../src/testing/index.ts"] }
  },
  include: ["*.ts"]
}

describe("the documentation", () => {
  it.each(pages)("has targets for all links: %s", (page) => assert.deepStrictEqual(brokenLinks(page), []))

  it.live("has programs that compile", () =>
    Effect.gen(function*() {
      assert.isAbove(programs.length, 5)
      const path = yield* folder
      for (const { name, text } of programs) writeFileSync(join(path, name), text)
      writeFileSync(join(path, "tsconfig.json"), JSON.stringify(config))
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", path])
          .catch((error: { readonly stdout: string }) => error)
      )
      assert.strictEqual(stdout, "")
    }), 60_000)
})
