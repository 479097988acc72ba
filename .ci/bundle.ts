/**
 * Puts the command in place of its modules in `dist/cli`, with all that it needs of other packages: it starts in a third of the time that some
 * thousand modules take, and in half of their memory. What only some commands need, or some meshes, lies in files of its own that
 * are loaded late. Programs that use the library have the plain modules beside it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import http from "node:http"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type ChunkingContext, type OutputChunk, type Plugin, rolldown } from "rolldown"

const root = fileURLToPath(new URL("..", import.meta.url))
const command = join(root, "dist/cli")
const made = join(root, "dist/cli.made")

/** Beside undici, which is a dependency of this package. */
const undici = createRequire(createRequire(import.meta.url).resolve("@effect/platform-node/NodeHttpClient"))

const importOf = (name: string, file: string) =>
  `import ${name} from ${JSON.stringify(undici.resolve(`undici/lib/${file}.js`))}`

const browserNames = new Set(["CloseEvent", "MessageEvent", "WebSocket"])

/** Modules in place of others. */
const replaced: Readonly<Record<string, string>> = {
  // Loaded with the first expression, at once: few meshes have any.
  re2js: `
    import { createRequire } from "node:module"
    let load = () => {
      const { RE2JS } = createRequire(import.meta.url)("./re2js.js")
      load = () => RE2JS
      return RE2JS
    }
    export const RE2JS = { compile: (...args) => load().compile(...args) }
  `,
  // What is used of it, put together as it does: without `fetch`, mocks, caches and WebSockets.
  undici: `
    ${importOf("Agent", "dispatcher/agent")}
    ${importOf("Dispatcher", "dispatcher/dispatcher")}
    ${importOf("Pool", "dispatcher/pool")}
    ${importOf("errors", "core/errors")}
    ${importOf("request", "api/api-request")}
    Object.assign(Dispatcher.prototype, { request })
    export { Agent, Dispatcher, errors, Pool }
    export default {}
  `,
  // An import of it asks for each of its names, one of which has Node load its `fetch`: 13 MB.
  "node:http": `
    const http = process.getBuiltinModule("node:http")
    export const { ${Object.keys(http).filter((name) => !browserNames.has(name)).join(", ")} } = http
    export default http
  `,
  // Nobody sends one. Node loads its `fetch` as soon as somebody asks whether a body is one.
  "no-form": "export class FormData {}"
}

const replace: Plugin = {
  name: "replace",
  resolveId: (source, importer, { kind }) =>
    importer !== undefined && kind !== "require-call" && Object.hasOwn(replaced, source) ? `\0${source}` : null,
  load: (id) => replaced[id.slice(1)] ?? null
}

/** These end soon, and are asked for again and again: what they have in common with a sidecar is to stay small. */
const brief = ["policy", "check", "route", "ca", "certs", "redirect", "top"]

/** V8 needs up to twenty times of what it reads at once, and the C library keeps that: 10 MB for a single file. */
const mostOfAFile = 120_000

/**
 * The file of each module that a sidecar loads at its start: some ten in place of seventy, as Node looks for each. What a module imports is in the
 * same file, or in an earlier one.
 */
const filesOf = ({ getModuleInfo }: Pick<ChunkingContext, "getModuleInfo">): ReadonlyMap<string, string> => {
  const importedBy = (id: string): ReadonlyArray<string> => getModuleInfo(id)?.importedIds ?? []
  const entry = (name: string): string => join(command, `${name}.js`)
  const within = (name: string): ReadonlySet<string> => {
    const all = new Set([entry(name)])
    for (const each of all) for (const next of importedBy(each)) all.add(next)
    return all
  }
  const [first, base] = [within("bin"), within("main")]
  const common = new Set(brief.flatMap((name) => [...within(name)]))
  const placeOf = (id: string): string =>
    first.has(id) ? "flags" : base.has(id) ? "base" : common.has(id) ? "common" : "proxy"

  const files = new Map<string, string>()
  const filled = new Map<string, number>()
  for (const circle of inOrder(["bin", "main", "proxy"].map(entry), importedBy)) {
    // The first is a file by itself. The second waits for the command that it loads, and that for whatever is in one file with it.
    if (circle.includes(entry("bin")) || circle.includes(entry("main"))) continue
    const place = placeOf(circle[0]!)
    const before = filled.get(place) ?? 0
    for (const id of circle) files.set(id, `${place}${Math.floor(before / mostOfAFile)}`)
    filled.set(place, before + circle.reduce((sum, id) => sum + withoutComments(getModuleInfo(id)?.code ?? "").length, 0))
  }
  return files
}

const withoutComments = (code: string): string => code.replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, "")

/** Modules that import each other, after those that they import: the algorithm of Tarjan. */
const inOrder = (
  entries: ReadonlyArray<string>,
  importedBy: (id: string) => ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<string>> => {
  const circles: Array<ReadonlyArray<string>> = []
  const numbers = new Map<string, number>()
  const open: Array<string> = []
  /** The least number that can be reached of those that are open. */
  const visit = (id: string): number => {
    const own = numbers.size
    numbers.set(id, own)
    open.push(id)
    let least = own
    for (const next of importedBy(id)) {
      if (!numbers.has(next)) least = Math.min(least, visit(next))
      else if (open.includes(next)) least = Math.min(least, numbers.get(next)!)
    }
    if (least === own) circles.push(open.splice(open.indexOf(id)))
    return least
  }
  for (const entry of entries) if (!numbers.has(entry)) visit(entry)
  return circles
}

let files: ReadonlyMap<string, string> | undefined

const fileOf = (id: string, context: ChunkingContext): string | null => {
  files ??= filesOf({ getModuleInfo: (id) => context.getModuleInfo(id) })
  return files.get(id) ?? null
}

/** A string of V8 takes one byte for each character, or two as soon as a single one needs them. All of the source stays in memory. */
const inAscii = (code: string): string =>
  code.replaceAll(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** The licenses of what is packed in, which ask to be passed on. */
const licenses = (chunks: ReadonlyArray<OutputChunk>): string => {
  const folders = chunks.flatMap(({ moduleIds }) => moduleIds).flatMap((id) =>
    /^.*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? []
  )
  return [...new Set(folders)].sort().map((folder) => {
    const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
    const text = file === undefined ? `${license}\n` : readFileSync(join(folder, file), "utf8")
    return `${name} ${version}\n\n${text}`
  }).join(`\n${"-".repeat(80)}\n\n`)
}

const bundle = await rolldown({
  cwd: root,
  input: { bin: join(command, "bin.js"), re2js: "re2js" },
  platform: "node",
  resolve: { mainFields: ["module", "main"] },
  transform: { inject: { FormData: ["no-form", "FormData"] } },
  plugins: [replace]
})
const { output } = await bundle.generate({
  format: "esm",
  chunkFileNames: "[name]-[hash].js",
  codeSplitting: { groups: [{ name: fileOf, debugName: "sidecar" }] },
  // Names of functions stay, for stack traces and profiles.
  minify: { compress: true, mangle: { keepNames: true, toplevel: false }, codegen: { removeWhitespace: true } },
  comments: { legal: false, annotation: false, jsdoc: false }
})
const chunks = output.filter((each) => each.type === "chunk")

rmSync(made, { recursive: true, force: true })
for (const { code, fileName } of chunks) {
  mkdirSync(dirname(join(made, fileName)), { recursive: true })
  writeFileSync(join(made, fileName), inAscii(code))
}
writeFileSync(join(made, "licenses.txt"), licenses(chunks))
rmSync(command, { recursive: true })
renameSync(made, command)
