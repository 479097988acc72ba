import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as HttpRequest from "../../../src/intention/HttpRequest.ts"
import * as HttpRoutes from "../../../src/route/HttpRoutes.ts"
import type { Result } from "effect"
import * as Chain from "../../../src/xds/read/Chain.ts"
import type * as Fields from "../../../src/xds/read/Fields.ts"
import * as Policy from "../../../src/xds/read/Policy.ts"
import * as State from "../../../src/xds/read/State.ts"
import { intentionsOf } from "../../support/parityIntentions.ts"

const folder = new URL("../../fixtures/parity/envoy/", import.meta.url)
const trustDomain = "11111111-2222-3333-4444-555555555555.consul"
const kinds = ["clusters", "listeners", "routes"] as const
type Dump = Readonly<Partial<Record<(typeof kinds)[number], ReadonlyArray<Fields.Json>>>>

/** What Envoys showed of themselves under a real Consul, with the names that listeners had. */
const recorded = readdirSync(folder).flatMap((file) => {
  const text = readFileSync(new URL(file, folder), "utf8").replaceAll("<trust-domain>", trustDomain)
  const { config, dumps } = JSON.parse(text) as {
    config: ReadonlyArray<Fields.Json>
    dumps: Readonly<Record<string, ReadonlyArray<Dump>>>
  }
  return Object.entries(dumps).map(([proxy, parts]) => ({ title: `${file} ${proxy}`, proxy, config, parts }))
})

interface Named {
  readonly name: string
  readonly address?: { readonly socket_address: { readonly port_value: number } }
}

const nameOf = (resource: object): string => {
  const { address, name } = resource as Named
  return address === undefined ? name : name.replace(/<[^>]*>$/, String(address.socket_address.port_value))
}

const read = (parts: ReadonlyArray<Dump>): State.Applied => {
  let state = State.empty
  const flaws: Array<string> = []
  for (const kind of kinds) {
    const resources = parts.flatMap((part) => part[kind] ?? []).map((json) => ({
      name: nameOf(json),
      json: { ...json, name: nameOf(json) },
      unknown: []
    }))
    const applied = State.apply(state, kind, resources, [])
    state = applied.state
    flaws.push(...applied.flaws)
  }
  return { state, flaws }
}

const publicOf = ({ listeners }: State.State) => [...listeners.values()].find(({ kind }) => kind._tag === "Public")!

const requests = ["/", "/secret", "/exact", "/open", "/admin", "/user", "/pkg.Svc/Secret"].map((path) =>
  HttpRequest.fromRaw("GET", path, [])
)
const tokens = [
  () => undefined,
  () => ({ iss: "https://idp.test" }),
  () => ({ iss: "https://idp.test", role: "admin" })
]

describe("what Envoys were told by a real Consul", () => {
  it.each(recorded)("is understood: $title", ({ parts }) => {
    assert.deepStrictEqual(read(parts).flaws, [])
  })

  it.each(recorded)("means what its intentions mean: $title", ({ config, parts, proxy, title }) => {
    const { state } = read(parts)
    const listener = publicOf(state)
    const service = proxy.replace(/-(v?\d+)$/, "")
    const own = SpiffeId.service({ trustDomain, datacenter: "dc1", service })
    const policy = Policy.read(listener, own, state.clusters)
    assert.deepStrictEqual(policy.flaws, [])
    const meant = Authorizer.compile({
      destination: { service, protocol: listener.protocol },
      trustDomain,
      intentions: intentionsOf(config, service),
      defaultPolicy: /by-default|default-deny|token-(per|required\.)/.test(title) ? "deny" : "allow"
    })
    for (const source of ["web", "api"]) {
      const caller = SpiffeId.service({ trustDomain, datacenter: "dc1", service: source })
      for (const request of requests) {
        for (const token of tokens) {
          assert.strictEqual(
            policy.authorizer.request(caller, request, token).allowed,
            meant.request(caller, request, token).allowed,
            `${source} ${request.path}`
          )
        }
      }
    }
  })

  it.each(recorded.filter(({ proxy }) => proxy === "web"))("leads to routes that compile: $title", ({ parts }) => {
    const { clusters, listeners, routes } = read(parts).state
    for (const { kind, protocol, to } of listeners.values()) {
      if (kind._tag !== "Upstream" || to._tag === "Cluster") continue
      const found = to._tag === "Named" ? routes.get(to.name) : to._tag === "Routes" ? to.routes : undefined
      const compiled: Result.Result<HttpRoutes.HttpRoutes, string> = HttpRoutes.compile(
        Chain.ofRoutes(found!, { service: kind.service, protocol, datacenter: "dc1", trustDomain: "", clusters })
      )
      assert.strictEqual(compiled._tag, "Success")
    }
  })
})
