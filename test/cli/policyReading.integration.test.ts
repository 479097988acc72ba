/** Whatever was read incompletely is never proved on: agents that leave things out, one way of theirs in each test. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { badAgent, refusing } from "../support/agents.ts"
import { run, runWith } from "../support/policyCommand.ts"
import * as temporary from "../support/temporary.ts"

const kinds = ["service-intentions", "service-defaults", "jwt-provider", "proxy-defaults", "mesh"] as const
type Kind = (typeof kinds)[number]

interface Script {
  /** Of `GET /v1/acl/token/self`. Default: one with a policy of its own. */
  readonly token?: "off" | "none" | "management"
  /** Of `GET /v1/agent/self`. A text: it is refused with that. */
  readonly self?: string | { readonly Version: string }
  /** Answers with the header that says that something was left out. */
  readonly filtered?: ReadonlyArray<Kind | "services">
  /** What the token may not read of a service that nobody has. */
  readonly denied?: ReadonlyArray<Kind>
  /** Entries and index at the n-th time that their kind is asked for. */
  readonly stored?: (kind: Kind, time: number) => { readonly entries: ReadonlyArray<object>; readonly index: number }
  /** After so many requests nobody knows the token. */
  readonly expiresAfter?: number
}

const lacks = "Permission denied: token with AccessorID 'x' lacks permission 'agent:read' on \"n\""
const entry = { Kind: "service-intentions", Name: "payments", Sources: [{ Name: "shop", Action: "allow" }] }
const present: Script["stored"] = (kind) => ({ entries: kind === "service-intentions" ? [entry] : [], index: 7 })

const agentThat = ({ denied = [], expiresAfter, filtered = [], self, stored = present, token }: Script) =>
  Effect.gen(function*() {
    const times = new Map<string, number>()
    const answer = (response: ServerResponse, body: unknown, part?: Kind | "services", index = 7) => {
      response.setHeader("Content-Type", "application/json")
      response.setHeader("X-Consul-Index", String(index))
      response.setHeader("X-Consul-Default-ACL-Policy", "deny")
      if (part !== undefined && filtered.includes(part)) response.setHeader("X-Consul-Results-Filtered-By-ACLs", "true")
      response.end(JSON.stringify(body))
    }
    return yield* badAgent((request, response, count) => {
      if (expiresAfter !== undefined && count > expiresAfter) return refusing(403, "ACL not found")(response)
      const { pathname } = new URL(request.url!, "http://agent")
      const [, , , kind, name] = pathname.split("/")
      switch (pathname) {
        case "/v1/agent/self": {
          if (typeof self === "string") return refusing(403, self)(response)
          const Config = { Datacenter: "dc1", Version: "1.21.0", ...self }
          return answer(response, { Config, DebugConfig: { DefaultIntentionPolicy: "" } })
        }
        case "/v1/acl/token/self":
          return token === "off"
            ? refusing(401, "ACL support disabled")(response)
            : token === "none"
            ? refusing(403, "token does not exist: ACL not found")(response)
            : answer(response, {
              AccessorID: "x",
              Policies: [{ ID: token === "management" ? "00000000-0000-0000-0000-000000000001" : "y", Name: "y" }]
            })
        case "/v1/catalog/services":
          return answer(response, { payments: [], shop: [] }, "services")
      }
      if (!pathname.startsWith("/v1/config/")) return refusing(404, "")(response)
      const of = kind as Kind
      if (name !== undefined) return refusing(denied.includes(of) ? 403 : 404, "Permission denied: lacks")(response)
      const time = (times.get(of) ?? 0) + 1
      times.set(of, time)
      const { entries, index } = stored(of, time)
      return answer(response, entries, of, index)
    })
  })

const files = Effect.map(temporary.folder, (folder) => {
  const write = (name: string, value: unknown) => {
    writeFileSync(join(folder, name), JSON.stringify(value))
    return join(folder, name)
  }
  return {
    folder,
    closed: write("closed.json", { assertions: [{ never: { from: "*", except: ["shop"], to: "payments" } }] }),
    entries: write("entries.json", entry)
  }
})

/** `verify` of a statement that holds for what the agent shows. */
const verify = (script: Script, ...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { closed } = yield* files
    const agent = yield* agentThat(script)
    return yield* run("verify", "--http-addr", agent.address, closed, ...args)
  })

const read = "service_prefix \"\" { policy = \"read\" }"

describe("effect-mesh policy, asking an agent", () => {
  it.live("proves on what was read whole: with a token to which nothing is hidden, and where there are no ACLs", () =>
    Effect.gen(function*() {
      for (const script of [{}, { token: "management" }, { token: "off" }] as const) {
        const { code, err, out } = yield* verify(script)
        assert.deepStrictEqual([code, err], [0, ""])
        assert.include(out, "1 of 1 proved")
      }
    }))

  it.live.each(
    [
      [
        "service-intentions",
        "intentions of some services were left out",
        read.replace(" }", ", intentions = \"read\" }")
      ],
      ["service-defaults", "service-defaults, which say the protocol of some services, were left out", read],
      ["jwt-provider", "jwt-providers were left out", "mesh = \"read\""],
      ["services", "names of some services were left out", read]
    ] as const
  )(
    "ends with 3 where the header says that %s were left out, and names the right",
    ([part, what, right]) =>
      Effect.gen(function*() {
        const { code, err, out } = yield* verify({ filtered: [part] })
        assert.deepStrictEqual([code, out], [3, ""])
        assert.include(err, what)
        assert.include(err, `It needs ${right}`)
      })
  )

  it.live("does so for a token with every right, too, if the header says it: a hole in a prefix is found only so", () =>
    Effect.gen(function*() {
      const { code } = yield* verify({ token: "management", filtered: ["service-intentions"] })
      assert.strictEqual(code, 3)
    }))

  it.live.each(["service-intentions", "service-defaults", "jwt-provider"] as const)(
    "ends with 3 where no header is sent, and the token may not read every %s",
    (kind) =>
      Effect.gen(function*() {
        for (const token of ["none", "off", undefined] as const) {
          const { code, err } = yield* verify({ denied: [kind], ...(token === undefined ? {} : { token }) })
          assert.strictEqual(code, 3)
          assert.include(err, "may be missing")
        }
      })
  )

  it.live("says by name which of the services that it knows are hidden", () =>
    Effect.gen(function*() {
      const { err } = yield* verify({ denied: ["service-intentions"] }, "--service", "vault")
      assert.include(err, "among them payments, shop, vault")
    }))

  it.live("ends with 3 without a token, as Consul then never says what it leaves out", () =>
    Effect.gen(function*() {
      const { code, err } = yield* verify({ token: "none" })
      assert.strictEqual(code, 3)
      assert.include(err, "no token was sent")
    }))

  it.live.each(
    [
      [{ self: { Version: "1.10.4" } }, "Consul 1.10.4 does not say what it leaves out"],
      [{ self: "Permission denied" }, "not known whether this agent says what it leaves out"],
      [{ self: { Version: "1.21.0+ent" } }, "one namespace and partition"]
    ] as const
  )(
    "ends with 3 where the agent can not be relied on to say what it leaves out: %j",
    ([script, why]) =>
      Effect.gen(function*() {
        const { code, err } = yield* verify(script)
        assert.strictEqual(code, 3)
        assert.include(err, why)
      })
  )

  it.live("trusts an old agent where there are no ACLs, or the token may do everything", () =>
    Effect.gen(function*() {
      for (const token of ["off", "management"] as const) {
        const { code } = yield* verify({ token, self: { Version: "1.10.4" } })
        assert.strictEqual(code, 0)
      }
    }))

  it.live("never proves with a token that expires while it reads, whenever that is", () =>
    Effect.gen(function*() {
      // Two times of reading are eleven requests each, at most.
      const all = 22
      const codes = yield* Effect.forEach(
        Array.from({ length: all }, (_, requests) => requests),
        (expiresAfter) => Effect.map(verify({ expiresAfter }), ({ code }) => code),
        { concurrency: 4 }
      )
      assert.deepStrictEqual(new Set(codes), new Set([3]))
      assert.strictEqual((yield* verify({ expiresAfter: all })).code, 0)
    }))

  it.live("reads again until two times agree, and proves on those", () =>
    Effect.gen(function*() {
      const { code, out } = yield* verify({
        stored: (kind, time) =>
          kind === "service-intentions"
            ? {
              entries: time > 2 ? [{ ...entry, Sources: [{ Name: "*", Action: "allow" }] }] : [entry],
              index: time > 2 ? 9 : 7 + time
            }
            : { entries: [], index: 7 }
      })
      assert.strictEqual(code, 2, "what was stored last decides")
      assert.include(out, "refuted")
    }))

  it.live("ends with 3 where what is stored changes each time", () =>
    Effect.gen(function*() {
      const { code, err } = yield* verify({
        stored: (kind, time) => ({ entries: [], index: kind === "mesh" ? time : 7 })
      })
      assert.strictEqual(code, 3)
      assert.include(err, "changed each time that it was read")
    }))

  it.live("verifies under both default policies where the token may not read the agent's", () =>
    Effect.gen(function*() {
      const script: Script = { self: lacks }
      const [open, closed] = [yield* verify(script), yield* verify(script, "--default-policy", "deny")]
      assert.strictEqual(open.code, 2)
      assert.match(open.out, /if the default policy is allow, which nobody says/)
      assert.strictEqual(closed.code, 0)
    }))

  it.live("takes the settings of an agent for those of its own datacenter only", () =>
    Effect.gen(function*() {
      const elsewhere = yield* verify({}, "--datacenter", "dc2")
      assert.match(elsewhere.out, /which nobody says/)
      const off = yield* verify({ token: "off" }, "--datacenter", "dc2")
      assert.strictEqual(off.code, 3)
    }))

  it.live("ends with 3 from every command", () =>
    Effect.gen(function*() {
      const { closed, entries } = yield* files
      const agent = yield* agentThat({ filtered: ["service-intentions"] })
      const at = ["--http-addr", agent.address]
      const ended = yield* Effect.all([
        run("verify", ...at, closed, "--format", "junit"),
        run("check", ...at, "shop", "payments"),
        run("check", ...at, "shop", "payments", "--json"),
        run("matrix", ...at),
        run("matrix", ...at, "--json"),
        run("explain", ...at),
        run("diff", ...at, "consul", entries),
        run("diff", ...at, entries, "consul", "--json")
      ])
      assert.deepStrictEqual(ended.map(({ code, out }) => [code, out]), ended.map(() => [3, ""]))
    }))

  it.live("shows what is known to those who ask for it, marked in every format", () =>
    Effect.gen(function*() {
      const { folder } = yield* files
      const agent = yield* agentThat({ filtered: ["service-intentions"] })
      const at = ["--http-addr", agent.address, "--incomplete"]
      const page = join(folder, "page.html")
      const [text, json, html, explain, explainJson] = yield* Effect.all([
        run("matrix", ...at),
        run("matrix", ...at, "--json"),
        run("matrix", ...at, "--html", page),
        run("explain", ...at, "payments"),
        run("explain", ...at, "payments", "--json")
      ])
      for (const { code, out } of [text, json, html, explain, explainJson]) {
        assert.strictEqual(code, 0)
        assert.include(out, "INCOMPLETE: intentions of some services were left out")
      }
      assert.match(readFileSync(page, "utf8"), /<title>INCOMPLETE: .*INCOMPLETE: intentions of some services/s)
      assert.isTrue((JSON.parse(json.out) as { incomplete: boolean }).incomplete)
      assert.isTrue((JSON.parse(explainJson.out) as [{ incomplete: boolean }])[0].incomplete)
      // Nobody knows what such a token could read: there is nothing to show.
      const gone = yield* agentThat({ expiresAfter: 0 })
      const { code, err } = yield* run("matrix", "--http-addr", gone.address, "--incomplete")
      assert.strictEqual(code, 3)
      assert.include(err, "the agent does not know the token")
    }))

  it.live("asks nothing without the token that a file or a variable should have held", () =>
    Effect.gen(function*() {
      const { closed, folder } = yield* files
      const agent = yield* agentThat({ token: "off" })
      const at = ["verify", "--http-addr", agent.address, closed]
      const ended = yield* Effect.all([
        run(...at, "--token-file", join(folder, "missing")),
        run(...at, "--token-file", folder),
        runWith({ CONSUL_HTTP_TOKEN_FILE: join(folder, "missing") }, ...at),
        runWith({ CONSUL_HTTP_TOKEN: "two\nlines" }, ...at),
        run(...at, "--token", "two words")
      ])
      assert.deepStrictEqual(ended.map(({ code }) => code), [1, 1, 1, 1, 1])
      assert.match(ended[0]!.err, /^the token file .*missing cannot be read \(ENOENT/)
      assert.match(ended[3]!.err, /^CONSUL_HTTP_TOKEN holds /)
      assert.match(ended[4]!.err, /^--token holds /)
      assert.deepStrictEqual(agent.requests, [])
    }))

  it.live("reads an agent that is too old for a kind of entries", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((request, response) => {
        if (request.url!.startsWith("/v1/config/jwt-provider")) {
          return refusing(500, "invalid config entry kind: jwt-provider")(response)
        }
        if (request.url!.startsWith("/v1/acl")) return refusing(401, "ACL support disabled")(response)
        response.setHeader("X-Consul-Index", "7")
        response.setHeader("Content-Type", "application/json")
        if (request.url!.startsWith("/v1/agent/self")) {
          return response.end(
            JSON.stringify({ Config: { Version: "1.10.1" }, DebugConfig: { ACLDefaultPolicy: "allow" } })
          )
        }
        if (request.url!.split("/").length > 4) return refusing(404, "")(response)
        return response.end(request.url!.startsWith("/v1/config") ? "[]" : "{\"payments\":[]}")
      })
      const { code, err } = yield* run("check", "--http-addr", agent.address, "--service", "shop", "shop", "payments")
      assert.deepStrictEqual([code, err], [0, ""])
    }))
})
