/**
 * Puts the command in place of its modules in `dist/cli`, with all that it needs of other packages: it starts in a third of the time that some
 * thousand modules take, and in half of their memory. What only some commands need, or some meshes, lies in files of its own that
 * are loaded late. Programs that use the library have the plain modules beside it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import http from "node:http"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { type ChunkingContext, type OutputChunk, type Plugin, rolldown } from "rolldown"

const root = new URL("..", import.meta.url).pathname
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
const brief = ["policy", "check", "route", "ca", "certs", "redirect", "top"] as const

/**
 * Three files for all that a sidecar loads at its start, in place of some seventy, each of which Node would look for. What a module imports is in
 * the same file as it is, or in an earlier one.
 */
const fileOf = (id: string, context: ChunkingContext): string | null => {
  const within = (entry: string): ReadonlySet<string> => {
    const known = reached.get(entry)
    if (known !== undefined) return known
    const all = new Set([join(command, `${entry}.js`)])
    for (const each of all) for (const next of context.getModuleInfo(each)?.importedIds ?? []) all.add(next)
    reached.set(entry, all)
    return all
  }
  // It waits for the command that it loads, and that for whatever is in one file with it.
  if (id === join(command, "main.js")) return null
  if (within("main").has(id)) return "base"
  if (!within("proxy").has(id)) return null
  return brief.some((entry) => within(entry).has(id)) ? "common" : "proxy"
}

const reached = new Map<string, ReadonlySet<string>>()

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
