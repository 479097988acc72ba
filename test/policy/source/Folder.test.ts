import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { dirname, join } from "node:path"
import * as Document from "../../../src/policy/source/Document.ts"
import * as Entries from "../../../src/policy/source/Entries.ts"
import * as Folder from "../../../src/policy/source/Folder.ts"
import * as Policy from "../../../src/testing/Policy.ts"
import * as temporary from "../../support/temporary.ts"

const json = (name: string) => JSON.stringify({ Kind: "service-defaults", Name: name })
const hcl = (name: string) => `Kind = "service-defaults"\nName = "${name}"\n`
const yaml = (name: string) =>
  `apiVersion: consul.hashicorp.com/v1alpha1\nkind: ServiceDefaults\nmetadata:\n  name: ${name}\n`

const folderOf = (files: { readonly [name: string]: string | Uint8Array }) =>
  Effect.tap(temporary.folder, (folder) =>
    Effect.sync(() => {
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true })
        writeFileSync(join(folder, name), content)
      }
    }))

const found = (folder: string) => Result.getOrThrow(Folder.read(folder))

/** What was read of a folder, and what is missing: the names of files, relative to it. */
const names = (folder: string) => {
  const { missing, sources } = found(folder)
  return {
    read: sources.map(({ file }) => file.slice(folder.length + 1)),
    missing: missing.map((sentence) => /^(\S+?):? /.exec(sentence)![1]!.slice(folder.length + 1))
  }
}

/** A socket in the file system: neither a file nor a folder. */
const listening = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer().listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

describe("Folder", () => {
  it.live("has nothing that is neither read nor an error, whatever is in it", () =>
    Effect.gen(function*() {
      const read = {
        "a.json": json("a"),
        "b.JSON": json("b"),
        "c.hcl": hcl("c"),
        "d.HCL": hcl("d"),
        "e.yaml": yaml("e"),
        "f.yml": yaml("f"),
        "g.YML": yaml("g"),
        "h.Yaml": yaml("h"),
        ".hidden.json": json("hidden"),
        "deep/er/i.json": json("i"),
        ".folder/j.yaml": yaml("j"),
        "with-mark.json": `\ufeff${json("k")}`,
        "json-by-its-content.hcl": json("l")
      }
      const refused = {
        "m.txt": "",
        "n.md": "",
        "README.md": "# Policy",
        "o.tf": "resource \"x\" \"y\" {}",
        "p.tfvars": "a = 1",
        "q.toml": "Kind = \"service-intentions\"",
        "r": hcl("r"),
        "s.json5": json("s"),
        "t.jsonc": json("t"),
        "u.yaml.bak": yaml("u"),
        "v.json~": json("v"),
        "w.yaml.tpl": yaml("w"),
        "x.ini": "",
        ".gitignore": "*",
        "deep/LICENSE": "",
        "binary.json": new Uint8Array([0xff, 0xfe, 0x7b, 0]),
        "nul.json": "{\0}"
      }
      const folder = yield* folderOf({ ...read, ...refused, ".git/HEAD": "ref: refs/heads/main" })
      yield* listening(join(folder, "socket.json"))
      yield* Effect.sync(() => symlinkSync(join(folder, "nowhere.json"), join(folder, "dangling.json")))
      const outcome = names(folder)
      assert.deepStrictEqual(outcome.read, Object.keys(read).toSorted())
      assert.deepStrictEqual(
        outcome.missing.toSorted(),
        [...Object.keys(refused), "socket.json", "dangling.json"].toSorted()
      )
      const entries = Result.getOrThrow(Entries.read(found(folder).sources))
      assert.deepStrictEqual(
        entries.services.map(({ service }) => service).toSorted(),
        ["a", "b", "c", "d", "e", "f", "g", "h", "hidden", "i", "j", "k", "l"]
      )
    }))

  it.live("has files that hold no entry, and they are errors with their place", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf({
        "empty.json": "",
        "empty.hcl": "# nothing\n",
        "empty.yaml": "---\n",
        "main.tf.json": "{\"resource\": {}}",
        "values.yaml": "replicas: 1\n",
        "Chart.yaml": "apiVersion: v2\nname: x\n",
        "template.yaml": "{{- range .Values.services }}\na: b\n{{- end }}\n",
        "expression.hcl": "Name = var.x\n",
        "assertions.json": "{\"assertions\": []}"
      })
      const outcome = Entries.read(found(folder).sources)
      const problems = Result.isFailure(outcome) ? outcome.failure.map(Document.format) : []
      assert.deepStrictEqual(
        problems.map((problem) => problem.slice(folder.length + 1).replace(/^([^:]+:\d+:\d+).*/s, "$1")),
        [
          "Chart.yaml:1:1",
          "assertions.json:1:1",
          "empty.hcl:1:1",
          "empty.json:1:1",
          "empty.yaml:1:1",
          "expression.hcl:1:8",
          "main.tf.json:1:1",
          "template.yaml:1:3",
          "values.yaml:1:1"
        ]
      )
    }))

  it.live("passes over what its .effect-meshignore names, and says how to name the rest", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf({
        "a.json": json("a"),
        "README.md": "",
        "docs/more.md": "",
        "docs/b.json": json("b"),
        "charts/values.yaml": "x: 1",
        "notes.txt": "",
        ".effect-meshignore": "# not ours\n*.md   # anywhere\n/charts/\n"
      })
      assert.deepStrictEqual(names(folder), { read: ["a.json", "docs/b.json"], missing: ["notes.txt"] })
      assert.match(
        found(folder).missing[0]!,
        /its name does not say .*name it in .*\.effect-meshignore, as notes\.txt$/
      )
    }))

  it.live("follows links, and reads each file once, as volumes of Kubernetes need it", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf({ "..2026/a.yaml": yaml("a"), "..2026/note.txt": "" })
      yield* Effect.sync(() => {
        symlinkSync("..2026", join(folder, "..data"))
        symlinkSync("..data/a.yaml", join(folder, "a.yaml"))
        symlinkSync("..data/note.txt", join(folder, "note.txt"))
        symlinkSync(".", join(folder, "loop"))
      })
      assert.deepStrictEqual(names(folder), { read: ["a.yaml"], missing: ["note.txt"] })
    }))

  it.live("is refused where it holds nothing, or is not there", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf({ "deep/.git/HEAD": "" })
      const [empty, none] = [Folder.read(folder), Folder.read(join(folder, "none"))]
      assert.match(Result.isFailure(empty) ? empty.failure : "", /there is no entry in this folder/)
      assert.match(Result.isFailure(none) ? none.failure : "", /none can not be read: ENOENT/)
    }))

  it.live("is read by tests as by the command, and as strictly", () =>
    Effect.gen(function*() {
      const folder = yield* folderOf({
        "a.hcl": "Kind = \"service-intentions\"\nName = \"api\"\nSources { Name = \"web\" Action = \"allow\" }\n"
      })
      const policy = Policy.read(folder, { defaultPolicy: "deny" })
      assert.deepStrictEqual(policy.intentions.map((each) => each.SourceName), ["web"])
      yield* Effect.sync(() => writeFileSync(join(folder, "b.txt"), ""))
      assert.throws(() => Policy.read(folder, { defaultPolicy: "deny" }), /b\.txt: its name does not say/)
    }))
})
