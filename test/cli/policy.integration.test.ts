import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { type Ended, run } from "../support/policyCommand.ts"
import * as temporary from "../support/temporary.ts"

const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

/** As a user would: a process of its own, without settings of this machine. Takes a second or two. */
const spawn = (...args: ReadonlyArray<string>) => spawnWith("", ...args)

const spawnWith = (input: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<Ended>((resume) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CONSUL|CONNECT)_/.test(name)))
    const child = execFile(
      process.execPath,
      [bin, "policy", ...args],
      { env },
      (error, out, err) => resume(Effect.succeed({ code: typeof error?.code === "number" ? error.code : 0, out, err }))
    )
    child.stdin?.end(input)
    return Effect.sync(() => child.kill())
  })

const deny = ["--default-policy", "deny"]

const entry = (permissions: ReadonlyArray<object>) => [
  { Kind: "service-defaults", Name: "api", Protocol: "http" },
  { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Permissions: permissions }] }
]

const fixture = Effect.map(temporary.folder, (folder) => {
  const write = (name: string, value: unknown) => {
    const path = join(folder, name)
    mkdirSync(join(path, ".."), { recursive: true })
    writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value, null, 2))
    return path
  }
  write("before/api.json", entry([{ Action: "allow", HTTP: { PathPrefix: "/v1/", Methods: ["GET"] } }]))
  write("after/api.json", entry([{ Action: "allow", HTTP: { PathPrefix: "/v1/" } }]))
  write("broken/a.json", entry([{ Action: "allow", HTTP: { PathRegex: "/a(" } }]))
  write("broken/b.json", "{\n  \"Kind\" 1\n}")
  write("hcl/a.hcl", "Kind = \"service-intentions\"\nName = \"api\"\nSources { Name = \"web\" Action = \"allow\" }\n")
  write("hcl/b.hcl", "Kind = \"service-defaults\"\n\nName = web\n")
  write(
    "mixed/k8s.yaml",
    "apiVersion: consul.hashicorp.com/v1alpha1\nkind: ServiceIntentions\nmetadata: { name: x }\n" +
      "spec: { destination: { name: vault }, sources: [{ name: \"*\", action: allow }] }\n" +
      "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: vault }\n"
  )
  write("mixed/a.HCL", "Kind = \"service-intentions\"\nName = \"api\"\nSources { Name = \"web\" Action = \"allow\" }\n")
  write("partial/a.json", { Kind: "service-defaults", Name: "api" })
  write("partial/README.md", "# Policy")
  write("one.json", { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] })
  write("always.json", {
    assertions: [{ always: { from: "web", to: "api", when: { PathPrefix: "/v1/", Methods: ["GET"] } } }]
  })
  write("good.json", { assertions: [{ only: { from: "web", to: "api" } }] })
  write("bad.json", { assertions: [{ name: "closed", never: { to: "api" } }] })
  write("unclear.json", { assertions: [{ nevr: { to: "api" } }] })
  return { at: (name: string) => join(folder, name) }
})

describe("effect-mesh policy", () => {
  it.live(
    "check ends with 0 where it is allowed, 2 where it is denied, 1 where it can not tell",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        const [allowed, denied, open, unknown] = yield* Effect.all([
          run("check", "-f", at("before"), "web", "api", "--path", "/v1/x"),
          run("check", ...deny, "-f", at("before"), "web", "api", "--path", "/v1/../v2", "--json"),
          run("check", "-f", at("before"), "web", "api"),
          run("check", "-f", at("none"), "web", "api")
        ])
        assert.deepStrictEqual(allowed, {
          code: 0,
          out: "allowed by permission 1 of intention web → api (precedence 9)\n",
          err: ""
        })
        assert.strictEqual(denied.code, 2)
        assert.strictEqual((JSON.parse(denied.out) as { because: string }).because, "no-permission")
        assert.strictEqual(open.code, 2)
        assert.match(open.out, /^It depends on the request/)
        assert.strictEqual(unknown.code, 1)
        assert.match(unknown.err, /none can not be read: ENOENT/)
      }),
    30_000
  )

  it.live(
    "diff ends with 2 where something is newly allowed, verify where something is refuted",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        const [wider, narrower, proved, refuted, unclear] = yield* Effect.all([
          run("diff", ...deny, at("before"), at("after")),
          run("diff", ...deny, at("after"), at("before")),
          run("verify", ...deny, "-f", at("before"), at("good.json")),
          run("verify", ...deny, "-f", at("before"), at("bad.json"), "--format", "tap"),
          run("verify", ...deny, "-f", at("before"), at("unclear.json"))
        ])
        assert.strictEqual(wider.code, 2)
        assert.match(wider.out, /newly allowed: web → api\n {4}for example POST \/v1\/\n/)
        assert.strictEqual(narrower.code, 0)
        assert.match(narrower.out, /newly denied: web → api/)
        assert.strictEqual(proved.code, 0, proved.err)
        assert.strictEqual(refuted.code, 2)
        assert.match(refuted.out, /not ok 1 - closed/)
        assert.strictEqual(unclear.code, 1)
        assert.match(unclear.err, /unclear\.json/)
        assert.match(unclear.err, /nevr/)
      }),
    30_000
  )

  it.live("analyses nothing when a file is wrong, and says where and what to do", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const [broken, hcl] = yield* Effect.all([run("matrix", "-f", at("broken")), run("matrix", "-f", at("hcl/b.hcl"))])
      assert.deepStrictEqual([broken.code, broken.out, hcl.code, hcl.out], [1, "", 1, ""])
      assert.include(broken.err, `${at("broken/a.json")}:17:28: PathRegex is no RE2 expression`)
      assert.include(broken.err, `${at("broken/b.json")}:2:10: not JSON`)
      assert.include(hcl.err, `${at("hcl/b.hcl")}:3:8: not HCL: web is no value; put it in quotes`)
    }), 30_000)

  it.live(
    "reads a folder of HCL and resources of Kubernetes, and says which resources it left out",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        const [open, closed] = yield* Effect.all([
          run("check", "-f", at("mixed"), "anybody", "vault", "--service", "anybody", "--default-policy", "deny"),
          run("check", "-f", at("mixed"), "vault", "api", "--default-policy", "deny")
        ])
        assert.deepStrictEqual([open.code, closed.code], [0, 2], open.err + closed.err)
      }),
    30_000
  )

  it.live("answers nothing where a file of a folder was not read, and says which", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const ended = yield* spawn("verify", "-f", at("partial"), at("good.json"), "--default-policy", "deny")
      assert.strictEqual(ended.code, 3, ended.out)
      assert.match(ended.err, /README\.md: its name does not say that it is a policy/)
    }), 30_000)

  it.live("reads standard input, and shows what it left out of it", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const yaml = yield* spawnWith(
        readFileSync(at("mixed/k8s.yaml"), "utf8"),
        ...["check", "-f", "-", "vault", "vault", "--default-policy", "deny"]
      )
      assert.strictEqual(yaml.code, 0, yaml.err)
      assert.match(yaml.err, /standard input:7:7: left out, being none of Consul's: Deployment vault/)
    }), 60_000)

  it.live("draws the matrix for people, for machines and as a page", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const [text, json, html] = yield* Effect.all([
        run("matrix", "-f", at("before"), "--service", "db"),
        run("matrix", "-f", at("before"), "--json"),
        run("matrix", "-f", at("before"), "--html", at("page.html"))
      ])
      writeFileSync(at("names.txt"), "# known\ndb\nteam/cache # with a place\n")
      const listed = yield* run("matrix", "-f", at("before"), "--services", at("names.txt"))
      assert.match(listed.out, /^db +·/m)
      assert.match(listed.out, /^team\/cache +·/m)
      assert.match(text.out, /^web +◐ · ·$/m)
      const [filtered, misspelt, markdown] = yield* Effect.all([
        run("matrix", "-f", at("before"), "--from", "web", "--to", "api"),
        run("matrix", "-f", at("before"), "--to", "aip"),
        run("matrix", "-f", at("before"), "--format", "markdown")
      ])
      assert.match(filtered.out, /\n {5}╭─ api\nweb {2}◐\n/)
      assert.deepStrictEqual([misspelt.code, misspelt.err], [1, "no destination is named aip; did you mean api?"])
      assert.match(markdown.out, /\| `api` \| {2}\| `web` \|/)
      const { reasons, rows } = JSON.parse(json.out) as {
        reasons: Array<{ verdict: string }>
        rows: Array<Array<number>>
      }
      assert.deepStrictEqual(rows.map((row) => row.map((at) => reasons[at]!.verdict)), [
        ["deny", "deny"],
        ["some", "deny"],
        ["deny", "deny"]
      ])
      assert.strictEqual(html.code, 0, html.err)
      const page = readFileSync(at("page.html"), "utf8")
      assert.notMatch(page, /(?:src|href)=|https?:/, "the page needs something from elsewhere")
    }), 30_000)

  it.live("lint ends with 2 at an error, unless it is silenced with a reason", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      writeFileSync(
        at("loose.json"),
        JSON.stringify(entry([{ Action: "allow", HTTP: { PathPrefix: "/v1" } }]), null, 1)
      )
      const silence = [{ rule: "no-boundary", source: "web", destination: "api", reason: "v10 is ours" }]
      writeFileSync(at("lint.json"), JSON.stringify({ lint: { rules: { "no-boundary": "error" }, silence } }))
      const lint = (...args: ReadonlyArray<string>) =>
        run("lint", "-f", at("loose.json"), "--default-policy", "deny", ...args)
      const [found, failed, github, silenced, misspelt, sarif] = yield* Effect.all([
        lint(),
        lint("--rule", "no-boundary=error"),
        lint("--rule", "no-boundary=error", "--format", "github"),
        lint("--config", at("lint.json")),
        lint("--rule", "no-bondary=error"),
        lint("--format", "sarif")
      ])
      assert.deepStrictEqual([found.code, failed.code, github.code, silenced.code, misspelt.code], [0, 2, 2, 0, 1])
      assert.match(found.out, /^.*loose\.json:14:6: warning no-boundary: permission 1 of web → api: .*\n\n1 warning\n$/)
      assert.match(github.out, /^::error file=.*loose\.json,line=14,col=6,title=no-boundary::.*\n1 error\n$/)
      assert.match(silenced.out, /\[silenced: v10 is ours\]\n\nnothing found; 1 silenced\n$/)
      assert.match(misspelt.err, /there is no rule no-bondary; did you mean no-boundary\?/)
      const { runs } = JSON.parse(sarif.out) as { runs: Array<{ results: Array<{ ruleId: string }> }> }
      assert.deepStrictEqual(runs[0]!.results.map(({ ruleId }) => ruleId), ["no-boundary"])
    }), 30_000)

  it.live(
    "verify points at the statement that does not hold, and at the permission that decides",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        const [github, json, markdown] = yield* Effect.all([
          run("verify", "-f", at("before"), at("bad.json"), "--format", "github"),
          run("verify", "-f", at("before"), at("bad.json"), "--format", "json"),
          run("verify", "-f", at("before"), at("bad.json"), "--format", "markdown")
        ])
        assert.deepStrictEqual([github.code, json.code, markdown.code], [2, 2, 2])
        assert.match(
          github.out,
          /::error file=.*bad\.json,line=3,col=5,title=refuted::closed: web → api with GET \/v1\//
        )
        const [finding] = JSON.parse(json.out) as Array<{ line: number; decidedAt: { file: string; line: number } }>
        assert.strictEqual(finding!.line, 3)
        assert.strictEqual(finding!.decidedAt.line, 14)
        assert.match(finding!.decidedAt.file, /before\/api\.json$/)
        assert.match(markdown.out, /^### ❌ Policy: 0 of 1 statements proved\n/)
      }),
    30_000
  )

  it.live(
    "diff compares a part of the policy with all of it, and says what it left alone",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        writeFileSync(
          at("part.json"),
          JSON.stringify({ Kind: "service-intentions", Name: "db", Sources: [{ Name: "web", Action: "deny" }] })
        )
        const [all, part, json] = yield* Effect.all([
          run("diff", at("before"), at("part.json")),
          run("diff", at("before"), at("part.json"), "--only-named", "--default-policy", "deny"),
          run("diff", at("before"), at("after"), "--only-named", "--default-policy", "deny", "--format", "json")
        ])
        assert.match(all.out, /- newly denied: web → api/)
        assert.deepStrictEqual([part.code, part.err], [0, ""])
        assert.match(
          part.out,
          /^Nothing is newly allowed, and nothing newly denied\.\n.*: service-defaults api, service-intentions api/
        )
        const { kept, newlyAllowed } = JSON.parse(json.out) as {
          kept: ReadonlyArray<string>
          newlyAllowed: Array<{ rules: { after: { file: string; line: number } } }>
        }
        assert.deepStrictEqual([json.code, kept], [2, []])
        assert.match(newlyAllowed[0]!.rules.after.file, /after\/api\.json$/)
      }),
    30_000
  )

  it.live("tells the shell", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const [denied, broken] = yield* Effect.all([
        spawn("check", "-f", at("before"), "--service", "db", "db", "api"),
        spawn("matrix", "-f", at("broken"))
      ], { concurrency: 2 })
      assert.deepStrictEqual([denied.code, broken.code], [2, 1])
      assert.match(denied.out, /^denied by the default policy/)
      assert.match(broken.err, /nothing was analysed/)
    }), 30_000)

  it.live(
    "never guesses which default policy holds: verify and diff answer for both, matrix, explain and check say so",
    () =>
      Effect.gen(function*() {
        const { at } = yield* fixture
        const [open, closed, always, diff, json, text, matrix, page, explain, denied, allowed] = yield* Effect.all([
          run("verify", "-f", at("before"), at("good.json")),
          run("verify", ...deny, "-f", at("before"), at("good.json")),
          run("verify", "-f", at("before"), at("always.json")),
          run("diff", at("before"), at("after")),
          run("diff", at("before"), at("after"), "--json"),
          run("matrix", "-f", at("before")),
          run("matrix", "-f", at("before"), "--json"),
          run("matrix", "-f", at("before"), "--html", at("page.html")),
          run("explain", "-f", at("before"), "api"),
          run("check", "-f", at("before"), "--service", "db", "db", "api"),
          run("check", "-f", at("before"), "web", "api", "--path", "/v1/x")
        ])
        assert.strictEqual(open.code, 2)
        assert.match(open.out, /refuted: if the default policy is allow, which nobody says/)
        assert.strictEqual(closed.code, 0)
        // What an intention decides is so under each.
        assert.strictEqual(always.code, 0)
        assert.strictEqual(diff.code, 2)
        assert.match(diff.out, /newly allowed: web → api\n {4}if the default policy is deny, which nobody says/)
        assert.include(json.out, "\"underDefault\": \"deny\"")
        const assumed = "The default policy deny is assumed"
        for (const out of [text.out, matrix.out, page.out, readFileSync(at("page.html"), "utf8"), explain.out]) {
          assert.include(out, assumed)
        }
        assert.strictEqual(denied.code, 2)
        assert.include(denied.out, `${assumed}: nobody says which one holds`)
        assert.include(denied.out, "If it is allow: allowed by the default policy")
        assert.deepStrictEqual(allowed.out, "allowed by permission 1 of intention web → api (precedence 9)\n")
      }),
    30_000
  )

  it.live("compares an agent and files under the agent's default policy", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const agent = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "allow" })
      const store = (value: unknown) =>
        Effect.promise(() => fetch(`${agent.address}/v1/config`, { method: "PUT", body: JSON.stringify(value) }))
      yield* store({ Kind: "service-intentions", Name: "payments", Sources: [{ Name: "web", Action: "deny" }] })
      yield* store({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] })
      const result = yield* run("diff", "--http-addr", agent.address, "consul", at("one.json"))
      assert.strictEqual(result.code, 2, "deleting a deny opens the service where the default is allow")
      assert.match(result.out, /newly allowed: web → payments/)
    }), 30_000)

  it.live("asks the running agent, and compares it with files", () =>
    Effect.gen(function*() {
      const { at } = yield* fixture
      const agent = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
      for (const each of entry([{ Action: "allow", HTTP: { PathPrefix: "/v1/", Methods: ["GET"] } }])) {
        yield* Effect.promise(() => fetch(`${agent.address}/v1/config`, { method: "PUT", body: JSON.stringify(each) }))
      }
      const [allowed, denied, same, wider] = yield* Effect.all([
        run("check", "--http-addr", agent.address, "web", "api", "--path", "/v1/x"),
        run("check", "--http-addr", agent.address, "web", "api", "--method", "POST", "--path", "/v1/x"),
        run("diff", "--http-addr", agent.address, "consul", at("before")),
        run("diff", "--http-addr", agent.address, "consul", at("after"))
      ])
      assert.deepStrictEqual([allowed.code, denied.code, same.code, wider.code], [0, 2, 0, 2], allowed.err + wider.err)
      assert.strictEqual(same.out, "Nothing is newly allowed, and nothing newly denied.\n")
    }), 30_000)
})
