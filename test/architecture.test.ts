import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

/** `docs/decisions/0002-imports-point-one-way.md` */
const order = [
  "identity",
  "intention",
  "observe",
  "balance",
  "consul",
  "route",
  "watch",
  "tls",
  "net",
  "http",
  "xds",
  "inbound",
  "outbound",
  "mesh",
  "native",
  "sidecar",
  "gateway",
  "policy",
  "agent",
  "admin",
  "cli",
  "testing"
]

/** Faces of the same machinery: what both need lies below them. */
const siblings = [["native", "sidecar"], ["sidecar", "native"]]

const src = resolve(import.meta.dirname, "../src")

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && name.includes("/"))

const imports = new Map(files.map((file) => [
  file,
  [...readFileSync(join(src, file), "utf8").matchAll(/(?:from|import\(|import)\s*"(\.[^"]+)"/g)]
    .map((match) => relative(src, resolve(dirname(join(src, file)), match[1]!)))
]))

const importsOf = (file: string): ReadonlyArray<string> => imports.get(file) ?? []

describe("src", () => {
  it("has the folders of the design and no others", () => {
    const folders = new Set(files.map((file) => file.split("/")[0]!))
    assert.deepStrictEqual([...folders].filter((folder) => !order.includes(folder)), [])
  })

  it.each(files.filter((file) => !file.endsWith("/index.ts")))(
    "%s imports only from folders before its own",
    (file) => {
      const own = order.indexOf(file.split("/")[0]!)
      const wrong = importsOf(file).filter((target) => {
        const folder = target.split("/")[0]!
        return target.startsWith("..")
          ? target !== "../package.json"
          : order.indexOf(folder) > own || target.endsWith("/index.ts")
      })
      assert.deepStrictEqual(wrong, [])
    }
  )

  it.each(siblings)("%s imports nothing from %s", (own, other) => {
    const wrong = files.filter((file) =>
      file.startsWith(`${own}/`) && !file.endsWith("/index.ts") &&
      importsOf(file).some((target) => target.startsWith(`${other}/`))
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("has no circle of imports", () => {
    const settled = new Set<string>()
    const circleFrom = (file: string, path: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
      if (settled.has(file)) return undefined
      const start = path.indexOf(file)
      if (start >= 0) return path.slice(start)
      for (const target of importsOf(file)) {
        const circle = target.endsWith(".ts") ? circleFrom(target, [...path, file]) : undefined
        if (circle !== undefined) return circle
      }
      settled.add(file)
      return undefined
    }
    for (const file of files) assert.isUndefined(circleFrom(file, []))
  })
})
