/** The dashboard in a real browser. Left out, loudly, where there is none. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import type { Page } from "playwright-core"
import type * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as Listener from "../../src/sidecar/Listener.ts"
import * as Admin from "../support/admin.ts"
import * as Browser from "../support/browser.ts"
import { eventually } from "../support/consul.ts"
import { freePort } from "../support/ports.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"

/** `web` and `api` in this process; one admin interface shows both, and begins with `api`. */
const make = Effect.fnUntraced(
  function*(change: (api: ConsulSidecar.ConsulSidecar) => ConsulSidecar.ConsulSidecar = (api) => api) {
    const application = yield* Sockets.shouting
    const mesh = yield* SidecarMesh.make({ apps: [application.port], protocol: "tcp" })
    const admin = yield* Admin.open({ fleet: Admin.fleetOf({ api: change(mesh.api[0]!), web: mesh.web }) })
    return { mesh, url: admin.baseUrl }
  }
)

const talk = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  const answer = Sockets.record(socket)
  socket.write("hello")
  yield* answer.until("HELLO")
  return { socket, answer }
})

const run = <A>(use: () => Promise<A>) => Effect.promise(use)

/** Runs in the page, whose names the types of Node do not have. */
const ask = <A>(page: Page, expression: string): Effect.Effect<A> => run(() => page.evaluate<A>(expression))

/** The colours in force, as numbers. */
const readColours = `(() => {
  const style = getComputedStyle(document.documentElement)
  const canvas = document.createElement("canvas").getContext("2d")
  const names = ["text", "soft", "ok", "warn", "bad", "card", "back", "good-back", "warn-back", "bad-back"].map((name) => "--" + name)
  return Object.fromEntries(names.map((name) => {
    canvas.fillStyle = style.getPropertyValue(name)
    canvas.fillRect(0, 0, 1, 1)
    return [name, [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]]
  }))
})()`

/** Waits until the text of an element is so. */
const says = (page: Page, selector: string, text: RegExp) =>
  run(() => page.locator(selector).filter({ hasText: text }).first().waitFor({ state: "visible" }))

const row = (page: Page, column: "callers" | "upstreams", name: string) =>
  page.locator(`#${column} .row`, { has: page.locator(`.name:text-is("${name}")`) })

/** The same sidecar with so many more upstreams, and a caller. */
const crowded =
  (count: number, caller = "cron") => (real: ConsulSidecar.ConsulSidecar): ConsulSidecar.ConsulSidecar => ({
    ...real,
    status: () => {
      const status = real.status()
      return {
        ...status,
        listeners: [
          ...status.listeners.map((one) => ({
            ...one,
            details: {
              ...one.details,
              callers: () => [...one.details.callers(), { caller, open: 1, accepted: 1, sent: 10, received: 10 }]
            }
          })),
          ...Array.from({ length: count }, (_, i) => ({
            name: `upstream service-${i + 1}`,
            direction: "outbound" as const,
            service: `service-${i + 1}`,
            address: `127.0.0.1:${20_000 + i}`,
            state: i === 150
              ? { _tag: "Failed" as const, message: "the address is in use" }
              : { _tag: "Listening" as const },
            counts: Listener.none,
            details: Listener.noDetails
          }))
        ]
      }
    }
  })

describe.skipIf(Browser.isMissing)("the dashboard", () => {
  it.live("shows a caller as it comes, and the rule that refuses it", () =>
    Effect.gen(function*() {
      const { mesh, url } = yield* make()
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#service", /^api$/)
      yield* says(page, "#state", /^ready$/)
      yield* says(page, "#callers-none", /Nobody has called yet/)
      const { answer } = yield* talk(mesh.port)
      yield* says(page, "#callers .row .says", /1 open/)
      assert.deepStrictEqual(yield* run(() => page.locator("#callers .row .name").allTextContents()), ["web"])
      yield* mesh.write(SidecarMesh.intention({ Action: "deny" }))
      assert.strictEqual(yield* answer.ending, "ECONNRESET")
      const refused = yield* Sockets.connect(mesh.port)
      refused.write("hello")
      yield* Sockets.record(refused).ending
      yield* says(page, "#callers .row .fault", /^refused \d+ times? by web → api \(precedence 9\)$/)
      yield* says(page, "#refusals-list tr", /web.*web → api \(precedence 9\).*\+\d/)
      assert.match((yield* run(() => row(page, "callers", "web").getAttribute("class")))!, /bad/)
      assert.deepStrictEqual(faults, [])
    }))

  it.live("takes nobody for refused who says nothing, as a check of the agent", () =>
    Effect.gen(function*() {
      const { mesh, url } = yield* make()
      const { faults, page } = yield* Browser.open(url)
      const address = mesh.api[0]!.status().listeners.find(({ name }) => name === "public")!.address
      const check = yield* Sockets.connect(Number(address.split(":").at(-1)))
      check.destroy()
      const left = ask<number>(page, "snapshot?.sidecar?.inbound.refused.disconnected ?? 0")
      yield* eventually(Effect.filterOrFail(left, (count) => count > 0))
      yield* says(page, "#refusals-list", /^Nobody was refused\.$/)
      assert.deepStrictEqual(faults, [])
    }))

  it.live("shows clocks of certificates and the freshness of watches, and says when the agent is away", () =>
    Effect.gen(function*() {
      const { mesh, url } = yield* make()
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#leaf b", /^Leaf: 2 d 23 h left$/)
      yield* says(page, "#root b", /^Root: 9 y .* left$/)
      yield* says(page, "#watches-kinds", /intentions/)
      mesh.front.become((response) => response.destroy())
      yield* says(page, "#stale li", /^the intentions.* and \d+ more: no answer for .*, the agent cannot be reached/)
      yield* says(page, "#agent", /does not answer$/)
      yield* says(page, "#state", /^ready$/)
      assert.deepStrictEqual(faults, [])
    }))

  it.live("stays clear with 300 upstreams: what is wrong comes first, and a filter finds the rest", () =>
    Effect.gen(function*() {
      const { url } = yield* make(crowded(300))
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#upstreams-count", /^300$/)
      yield* says(page, "#upstreams .row:first-child .fault", /the address is in use/)
      yield* says(page, "#problems", /upstream service-151: the address is in use/)
      const list = page.locator("#upstreams-rows")
      assert.isTrue(yield* run(() => list.evaluate((it) => it.scrollHeight > it.clientHeight)), "it scrolls by itself")
      assert.isTrue(
        yield* ask(page, "document.body.scrollHeight <= innerHeight"),
        "the page does not"
      )
      yield* run(() => page.keyboard.press("/"))
      yield* run(() => page.keyboard.type("SERVICE-77"))
      yield* says(page, "#upstreams-count", /^1 of 300$/)
      assert.deepStrictEqual(yield* run(() => page.locator("#upstreams .row .name").allTextContents()), ["service-77"])
      const links = yield* run(() => page.locator("#links path").count())
      assert.strictEqual(links, 1, "the caller does not match")
      assert.deepStrictEqual(faults, [])
    }))

  it.live("can be used with the keyboard alone", () =>
    Effect.gen(function*() {
      const { mesh, url } = yield* make(crowded(3))
      yield* talk(mesh.port)
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#upstreams-count", /^3$/)
      const focused = () =>
        ask<string>(
          page,
          "(document.activeElement.matches('.row') ? document.activeElement.dataset.key : document.activeElement.id)"
        )
      const press = (...keys: ReadonlyArray<string>) =>
        Effect.forEach(keys, (key) => run(() => page.keyboard.press(key)))
      while ((yield* focused()) !== "cron" && (yield* focused()) !== "web") yield* press("Tab")
      yield* press("ArrowRight")
      assert.strictEqual(yield* focused(), "upstream service-1")
      yield* press("End")
      assert.strictEqual(yield* focused(), "upstream service-3")
      yield* press("ArrowUp", "Enter")
      yield* says(page, "#detail h2", /^service-2$/)
      assert.strictEqual(yield* focused(), "detail-title")
      yield* press("Escape")
      assert.isTrue(yield* run(() => page.locator("#detail").isHidden()))
      assert.strictEqual(yield* focused(), "upstream service-2")
      yield* press("ArrowLeft")
      assert.include(["cron", "web"], yield* focused())
      assert.deepStrictEqual(faults, [])
    }))

  it.live("tells more about a caller, and about an upstream with its instances", () =>
    Effect.gen(function*() {
      const { mesh, url } = yield* make()
      const { socket } = yield* talk(mesh.port)
      const { faults, page } = yield* Browser.open(url)
      yield* run(() => row(page, "callers", "web").click())
      yield* says(page, "#detail-body table", /web → api.*9.*allow/)
      yield* says(page, "#detail-body table", /127\.0\.0\.1:\d+/)
      yield* run(() => page.locator("#sidecar").selectOption("web"))
      yield* says(page, "#service", /^web$/)
      assert.strictEqual(new URL(page.url()).hash, "#web")
      yield* run(() => row(page, "upstreams", "api").click())
      yield* says(page, "#detail-body", /Instances of api.*healthy.*1/)
      socket.destroy()
      assert.deepStrictEqual(faults, [])
    }))

  it.live("says when the process is gone, and goes on when it is back", () =>
    Effect.gen(function*() {
      const { mesh } = yield* make()
      const scope = yield* Scope.make()
      const fleet = Admin.fleetOf({ web: mesh.web })
      const bind = { host: "127.0.0.1", port: yield* freePort }
      const { baseUrl } = yield* Scope.provide(Admin.open({ fleet, bind }), scope)
      const { page } = yield* Browser.open(baseUrl)
      yield* says(page, "#live", /^live$/)
      yield* Scope.close(scope, Exit.void)
      yield* says(page, "#live", /connection lost/)
      yield* Admin.open({ fleet, bind })
      yield* says(page, "#live", /^live$/)
    }))

  it.live("takes names for text, whatever they hold", () =>
    Effect.gen(function*() {
      const name = "<img src=x onerror=document.title='owned'>"
      const { url } = yield* make(crowded(1, name))
      const { faults, page } = yield* Browser.open(url)
      yield* says(page, "#callers .row .name", /<img src=x/)
      assert.strictEqual(yield* run(() => page.title()), "api · effect-mesh")
      assert.deepStrictEqual(faults, [])
    }))

  it.live.each(["light", "dark"] as const)("can be read in %s", (scheme) =>
    Effect.gen(function*() {
      const { url } = yield* make()
      const { page } = yield* Browser.open(url, { scheme })
      const colours = yield* ask<Readonly<Record<string, ReadonlyArray<number>>>>(page, readColours)
      const luminance = (name: string) =>
        colours[name]!.map((value) => value / 255).map((value) =>
          value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4
        )
          .reduce((sum, value, i) => sum + value * [.2126, .7152, .0722][i]!, 0)
      const contrast = (a: string, b: string) => {
        const [light, dark] = [luminance(a), luminance(b)].sort((a, b) => b - a)
        return (light! + .05) / (dark! + .05)
      }
      assert.strictEqual(luminance("--back") > .5, scheme === "light")
      for (const text of ["--text", "--soft", "--ok", "--warn", "--bad"]) {
        assert.isAtLeast(contrast(text, "--card"), 4.5, `${text} on a card`)
      }
      for (const text of ["--text", "--soft"]) assert.isAtLeast(contrast(text, "--back"), 4.5, `${text} on the page`)
      assert.isAtLeast(contrast("--ok", "--good-back"), 4.5)
      assert.isAtLeast(contrast("--warn", "--warn-back"), 4.5)
      assert.isAtLeast(contrast("--bad", "--bad-back"), 4.5)
    }))
})
