/**
 * `effect-mesh policy` asking a Consul that has ACLs, with every kind of token: none of them may get a proof that is false.
 *
 * The development agent knows no ACLs, so these tests start a Consul of their own: the program that CONSUL_BIN names, or, under
 * `npm run test:consul`, `consul` on the PATH. Without one they are skipped, and say so. One file of them:
 *
 *     CONSUL_BIN=/usr/local/bin/consul npx vitest run test/real/acls.integration.test.ts
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { type IncomingMessage, request, type ServerResponse } from "node:http"
import { join } from "node:path"
import { badAgent } from "../support/agents.ts"
import { runWith } from "../support/policyCommand.ts"
import * as RealConsul from "../support/realConsul.ts"
import * as temporary from "../support/temporary.ts"

/** `reporting` may read from `orders`, `shop` may pay; `* → *` denies the rest. */
const entries = [
  { Kind: "service-defaults", Name: "orders", Protocol: "http" },
  {
    Kind: "service-intentions",
    Name: "orders",
    Sources: [{
      Name: "reporting",
      Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/orders/", Methods: ["GET"] } }]
    }]
  },
  { Kind: "service-intentions", Name: "payments", Sources: [{ Name: "shop", Action: "allow" }] },
  { Kind: "service-intentions", Name: "ledger", Sources: [{ Name: "web", Action: "allow" }] },
  { Kind: "service-intentions", Name: "*", Sources: [{ Name: "*", Action: "deny" }] }
]

/** Consul has this kind since 1.16. */
const provider = {
  Kind: "jwt-provider",
  Name: "okta",
  JSONWebKeySet: { Remote: { URI: "http://127.0.0.1:1/keys", CacheDuration: "1h" } }
}

const isTrue = { never: { from: "web", to: "payments" } }
const isFalse = [
  { never: { from: "reporting", to: "orders" } },
  { never: { from: "*", to: "payments" } },
  { only: { from: "web", to: "payments" } },
  { never: { from: "web", to: "ledger" } },
  { implies: { if: "payments", then: "ledger" } },
  { equivalent: { to: ["payments", "ledger"] } }
]

interface World {
  readonly consul: Effect.Success<typeof RealConsul.start>
  readonly tokens: { readonly [kind: string]: string }
  /** A token that reads everything, for the shortest time that Consul allows: a minute from now. */
  readonly expiring: Effect.Effect<string>
  readonly hasProviders: boolean
  readonly trueFile: string
  readonly falseFile: string
}
class TheWorld extends Context.Service<TheWorld, World>()("test/TheWorld") {}

const world = Layer.effect(
  TheWorld,
  Effect.gen(function*() {
    const folder = yield* temporary.folder
    const consul = yield* RealConsul.start
    // Those before 1.16 have no jwt-provider.
    const kinds = new Set(
      yield* Effect.filter(
        [...new Set(entries.map(({ Kind }) => Kind))],
        (kind) => Effect.promise(() => consul.asked("GET", `/v1/config/${kind}`).then(() => true, () => false))
      )
    )
    yield* Effect.forEach(
      entries.filter(({ Kind }) => kinds.has(Kind)),
      (entry) => consul.ask("PUT", "/v1/config", entry)
    )
    const hasProviders = yield* Effect.tryPromise(() => consul.asked("PUT", "/v1/config", provider)).pipe(
      Effect.as(true),
      Effect.catchIf(({ cause }) => /invalid config entry kind/.test(String(cause)), () => Effect.succeed(false)),
      Effect.orDie
    )
    for (const Name of ["orders", "payments", "ledger"]) {
      yield* consul.ask("PUT", "/v1/agent/service/register", { Name })
    }
    const policy = (Name: string, Rules: string) =>
      Effect.as(consul.ask("PUT", "/v1/acl/policy", { Name, Rules }), { Policies: [{ Name }] })
    const token = (body: object) => Effect.map(consul.ask("PUT", "/v1/acl/token", body), ({ SecretID }) => SecretID)
    const all = yield* policy(
      "all",
      "service_prefix \"\" { policy = \"read\" }\nmesh = \"read\"\nagent_prefix \"\" { policy = \"read\" }"
    )
    const tokens = {
      none: "",
      wrong: "5b8a1c3e-1111-4222-8333-444455556666",
      narrow: yield* token(
        yield* policy(
          "narrow",
          "service \"ledger\" { policy = \"read\" intentions = \"read\" }\nservice \"shipping\" { policy = \"read\" }"
        )
      ),
      service: yield* token({ ServiceIdentities: [{ ServiceName: "shop" }] }),
      node: yield* token({ NodeIdentities: [{ NodeName: "n", Datacenter: "dc1" }] }),
      one: yield* token(yield* policy("one", "service \"payments\" { policy = \"read\" intentions = \"read\" }")),
      hole: yield* token({
        Policies: [...all.Policies, ...(yield* policy("hole", "service \"payments\" { policy = \"deny\" }")).Policies]
      }),
      all: yield* token(all),
      management: consul.management
    }
    const file = (name: string, assertions: ReadonlyArray<unknown>) => {
      const path = join(folder, name)
      writeFileSync(path, JSON.stringify({ assertions }))
      return path
    }
    return {
      consul,
      tokens,
      expiring: token({ ...all, ExpirationTTL: "1m" }),
      hasProviders,
      trueFile: file("true.json", [isTrue]),
      falseFile: file("false.json", isFalse)
    }
  })
)

const forward = (port: number, { headers, url: path }: IncomingMessage, response: ServerResponse) =>
  request({ host: "127.0.0.1", port, path, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers)
    answer.pipe(response)
  }).end()

/** All of the names, as people do who are told that a name is not known. */
const known = ["orders", "payments", "ledger", "reporting", "shop", "web"].flatMap((name) => ["--service", name])

const verify = (token: string, address: string, file: string, ...args: ReadonlyArray<string>) =>
  runWith({ CONSUL_HTTP_TOKEN: token }, "verify", "--http-addr", address, file, ...known, ...args)

const why = RealConsul.binary === undefined
  ? " (skipped: no Consul; name the program in CONSUL_BIN)"
  : ""

describe.skipIf(RealConsul.binary === undefined)(`policy, asking a Consul with ACLs${why}`, () => {
  it.layer(world, { timeout: 60_000, excludeTestServices: true })((it) => {
    it.effect(
      "proves nothing that is false, whatever the token and the default policy that is given",
      () =>
        Effect.gen(function*() {
          const { consul, expiring, falseFile, tokens } = yield* TheWorld
          for (const [kind, token] of Object.entries({ ...tokens, expiring: yield* expiring })) {
            for (const args of [[], ["--default-policy", "deny"], ["--default-policy", "allow"]]) {
              const { code, out } = yield* verify(token, consul.address, falseFile, ...args)
              assert.include([2, 3], code, `${kind}: ${out}`)
              assert.notInclude(out, "✓", kind)
            }
          }
        }),
      120_000
    )

    it.effect("says what is missing, and answers those who may read everything", () =>
      Effect.gen(function*() {
        const { consul, expiring, hasProviders, tokens, trueFile } = yield* TheWorld
        // Made here: one that other tests had before could be at its end when these are slow.
        const ended = yield* Effect.forEach(
          Object.entries({ expiring: yield* expiring, ...tokens }),
          ([kind, token]) => Effect.map(verify(token, consul.address, trueFile), (ended) => [kind, ended] as const)
        )
        assert.deepStrictEqual(Object.fromEntries(ended.map(([kind, { code }]) => [kind, code])), {
          none: 3,
          wrong: 3,
          narrow: 3,
          // A service identity reads all services, and with them all intentions.
          service: 0,
          // A node identity does so, too, but not the jwt-providers, where there are any.
          node: hasProviders ? 3 : 0,
          one: 3,
          hole: 3,
          all: 0,
          management: 0,
          expiring: 0
        })
        const said = Object.fromEntries(ended.map(([kind, { err }]) => [kind, err]))
        assert.match(said["none"]!, /no token was sent/)
        assert.match(said["wrong"]!, /does not know the token/)
        assert.match(said["narrow"]!, /intentions of some services were left out.*among them orders, payments/)
        if (hasProviders) assert.match(said["node"]!, /^.*\n {2}jwt-providers were left out.*mesh = "read"$/)
        assert.match(said["one"]!, /among them ledger, orders/)
        assert.match(said["hole"]!, /among them payments\./)
      }), 60_000)

    it.effect("ends with 3 from every command for a token that may not read everything", () =>
      Effect.gen(function*() {
        const { consul, tokens } = yield* TheWorld
        for (const kind of ["none", "narrow", "one", "hole"]) {
          const ask = (...args: ReadonlyArray<string>) =>
            runWith({ CONSUL_HTTP_TOKEN: tokens[kind]! }, ...args, "--http-addr", consul.address)
          const commands = [["check", "shop", "payments"], ["matrix"], ["explain"], ["diff", "consul", "consul"]]
          const codes = yield* Effect.forEach(commands, (args) => Effect.map(ask(...args), ({ code }) => code))
          assert.deepStrictEqual(codes, [3, 3, 3, 3], kind)
          const shown = yield* ask("matrix", "--incomplete", "--json")
          assert.isTrue((JSON.parse(shown.out) as { incomplete: boolean }).incomplete)
        }
      }), 60_000)

    it.effect(
      "proves nothing with a token that is taken back while it reads, whenever that is",
      () =>
        Effect.gen(function*() {
          const { consul, trueFile } = yield* TheWorld
          const codes: Array<number> = []
          for (let requests = 0; requests < 22; requests += 3) {
            const { AccessorID, SecretID } = yield* consul.ask("PUT", "/v1/acl/token", { Policies: [{ Name: "all" }] })
            let takenBack: Promise<unknown> | undefined
            const front = yield* badAgent((asked, response, count) => {
              if (count > requests) {
                takenBack ??= consul.asked("DELETE", `/v1/acl/token/${AccessorID}`)
              }
              void Promise.resolve(takenBack).then(() => forward(consul.port, asked, response))
            })
            const { code } = yield* verify(SecretID, front.address, trueFile)
            codes.push(code)
          }
          assert.deepStrictEqual(new Set(codes), new Set([3]))
        }),
      60_000
    )

    it.effect("never proves what is false while a token reaches its end", () =>
      Effect.gen(function*() {
        const { consul, expiring, falseFile } = yield* TheWorld
        const token = yield* expiring
        const codes: Array<number> = []
        yield* Effect.repeat(
          Effect.map(verify(token, consul.address, falseFile), ({ code }) => codes.push(code)),
          { until: () => codes.at(-1) !== 2 }
        )
        assert.strictEqual(codes.at(-1), 3)
      }), 120_000)
  })
})
