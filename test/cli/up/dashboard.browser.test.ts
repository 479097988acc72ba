/** The page of a mesh of `up`, in a real browser. Left out, loudly, where there is none. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Schema } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Page } from "playwright-core"
import * as Dashboard from "../../../src/cli/up/Dashboard.ts"
import * as Mesh from "../../../src/cli/up/Mesh.ts"
import * as LogThreshold from "../../../src/observe/LogThreshold.ts"
import * as Browser from "../../support/browser.ts"
import * as consul from "../../support/consul.ts"
import * as Sockets from "../../support/sockets.ts"
import * as temporary from "../../support/temporary.ts"

/** `web` calls `api`, and has a port to `billing`, which it may not call. */
const up = Effect.gen(function*() {
  const [toApi, toBilling, ...ports] = yield* Effect.forEach(Array.from({ length: 5 }), () => consul.freePort)
  const application = yield* Sockets.shouting
  const service = (name: string, port: number, upstreams: Schema.Json = []) => ({
    name,
    port: application.port,
    connect: { sidecar_service: { port, proxy: { upstreams } } }
  })
  const file: Schema.JsonObject = {
    default_intention_policy: "deny",
    services: [
      service("web", ports[0]!, [
        { destination_name: "api", local_bind_port: toApi! },
        { destination_name: "billing", local_bind_port: toBilling! }
      ]),
      service("api", ports[1]!),
      service("billing", ports[2]!)
    ],
    config_entries: {
      bootstrap: [{ kind: "service-intentions", name: "api", sources: [{ name: "web", action: "allow" }] }]
    }
  }
  const path = join(yield* temporary.folder, "mesh.json")
  writeFileSync(path, JSON.stringify(file))
  const mesh = yield* Mesh.make({ files: [path], agentPort: 0 })
  const log = yield* Layer.build(LogThreshold.layer([]))
  const url = yield* Effect.provideContext(Dashboard.open(mesh, yield* Dashboard.address("127.0.0.1:0")), log)
  return { url, toApi: toApi!, toBilling: toBilling! }
}).pipe(Effect.provide(NodeServices.layer))

const run = <A>(use: () => Promise<A>) => Effect.promise(use)

const says = (page: Page, selector: string, text: RegExp) =>
  run(() => page.locator(selector).filter({ hasText: text }).first().waitFor({ state: "visible" }))

const cell = (page: Page, source: string, destination: string) =>
  page.locator(`#cells button[data-source="${source}"][data-destination="${destination}"]`)

const talk = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  const answer = Sockets.record(socket)
  socket.write("hello")
  yield* answer.until("HELLO")
  return answer
})

describe.skipIf(Browser.isMissing)("the page of the mesh", () => {
  it.live("cuts a connection when an intention is changed there, and lets the next one in when it is changed back", () =>
    Effect.gen(function*() {
      const { toApi, url } = yield* up
      const answer = yield* talk(toApi)
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#state", /^all ready$/)
      yield* says(page, ".label", /^1 open$/)
      yield* run(() => cell(page, "web", "api").click())
      yield* says(page, "#verdict", /^allowed by intention web → api \(precedence 9\)$/)
      yield* run(() => page.locator("#choices button[data-action=deny]").click())
      assert.strictEqual(yield* answer.ending, "ECONNRESET")
      yield* says(page, "#news-list li", /1 connection to api was cut/)
      yield* says(page, "#news-list li", /web → api is denied now: denied by intention web → api \(precedence 9\)/)
      yield* says(page, "#verdict", /^denied by intention web → api/)
      assert.strictEqual(yield* run(() => cell(page, "web", "api").textContent()), "✗")
      yield* run(() => page.locator("#choices button[data-action=allow]").click())
      yield* says(page, "#verdict", /^allowed by/)
      yield* talk(toApi)
      assert.deepStrictEqual(faults, [])
    }))

  it.live("shows who tries what it may not do, and lets it, with the keyboard alone", () =>
    Effect.gen(function*() {
      const { toBilling, url } = yield* up
      const { faults, page } = yield* Browser.open(url, { scheme: "dark" })
      yield* says(page, ".label.bad", /^may not$/)
      const refused = yield* Sockets.connect(toBilling)
      refused.write("hello")
      assert.strictEqual(yield* Sockets.record(refused).ending, "ECONNRESET")
      yield* says(page, "#news-list li", /web → billing: refused 1 time/)
      const press = (...keys: ReadonlyArray<string>) =>
        Effect.forEach(keys, (key) => run(() => page.keyboard.press(key)))
      yield* run(() => cell(page, "web", "api").focus())
      yield* press("ArrowRight", "Enter")
      yield* says(page, "#detail-title", /^web → billing$/)
      yield* press("Tab", "Tab", "Enter")
      yield* says(page, "#verdict", /^allowed by intention web → billing/)
      yield* talk(toBilling)
      yield* press("Escape")
      assert.isTrue(yield* run(() => page.locator("#detail").isHidden()))
      assert.deepStrictEqual(faults, [])
    }))
})

describe("the dashboard of the mesh", () => {
  it.live("takes changes of intentions from everybody, as its agent does, and nothing else, and nothing of web pages", () =>
    Effect.gen(function*() {
      const { url } = yield* up
      const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
        run(() =>
          fetch(new URL(path, url), { method, headers }).then(async (response) =>
            [response.status, await response.text()] as const
          )
        )
      const change = "/intentions?source=web&destination=billing&action=allow"
      assert.strictEqual((yield* ask("PUT", change, { origin: "https://evil.example" }))[0], 403)
      assert.strictEqual((yield* ask("PUT", change))[0], 200)
      assert.strictEqual((yield* ask("PUT", "/intentions?source=web&destination=billing&action=maybe"))[0], 400)
      for (const path of ["/drain", "/heapsnapshot", "/logging?level=debug", "/rotate"]) {
        assert.strictEqual((yield* ask("POST", path))[0], 403, path)
      }
      const [status, graph] = yield* ask("GET", "/graph")
      assert.strictEqual(status, 200)
      assert.include(graph, `"changeable":true`)
    }))
})
