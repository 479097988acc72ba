import { assert, describe, it } from "@effect/vitest"
import * as Hosts from "../../../src/cli/redirect/Hosts.ts"
import * as Wanted from "../../../src/cli/redirect/Wanted.ts"
import * as Rules from "../../../src/cli/redirect/Rules.ts"

const rules: Rules.Rules = {
  users: ["1234"],
  inboundPort: 20_000,
  outbound: { _tag: "Virtual", destinations: [{ address: "240.0.0.5", host: "127.0.0.1", port: 9201 }] },
  exclude: { inboundPorts: [], outboundPorts: [], outboundCidrs: [] },
  meshOnly: false
}

describe("the rules of redirect-traffic", () => {
  it("replace those before as a whole", () => {
    assert.isTrue(Rules.script(rules).startsWith("table inet effect_mesh {}\ndelete table inet effect_mesh\n"))
  })

  it("lead callers to the sidecar, and a virtual address to the port of its upstream", () => {
    const script = Rules.script(rules)
    assert.include(script, "meta l4proto tcp redirect to :20000")
    assert.include(script, "elements = { 240.0.0.5 : 127.0.0.1 . 9201 }")
    assert.include(script, "dnat ip to ip daddr map @virtual")
    assert.notInclude(script, "established")
  })

  it("leave alone what is excluded, before everything else", () => {
    const script = Rules.script({
      ...rules,
      users: ["1234", "backup", "1234"],
      meshOnly: true,
      exclude: { inboundPorts: [22, 19_100], outboundPorts: [53], outboundCidrs: ["10.0.0.0/8"] }
    })
    const chain = (name: string) => script.split(`chain ${name} {`)[1]?.split("  }\n")[0]?.trim().split(/\n\s*/) ?? []
    assert.deepStrictEqual(chain("inbound").slice(1, 3), ["iifname \"lo\" return", "tcp dport { 22, 19100 } return"])
    assert.deepStrictEqual(chain("outbound").slice(1, 4), [
      "meta skuid { 1234, backup } return",
      "tcp dport { 53 } return",
      "ip daddr { 10.0.0.0/8 } return"
    ])
    assert.deepStrictEqual(chain("destinations").slice(1, 4), [
      "meta skuid { 1234, backup } accept",
      "tcp dport { 53 } accept",
      "ip daddr { 10.0.0.0/8 } accept"
    ])
    assert.strictEqual(chain("destinations").at(-1), "meta l4proto tcp reject with tcp reset")
  })

  it("lead everything to one port for a proxy that finds out itself", () => {
    const script = Rules.script({ ...rules, outbound: { _tag: "Everything", port: 15_001 } })
    assert.include(script, "meta l4proto tcp redirect to :15001")
    assert.notInclude(script, "@virtual")
  })

  it("can do without callers and without upstreams", () => {
    const script = Rules.script({ ...rules, inboundPort: undefined, outbound: { _tag: "Virtual", destinations: [] } })
    assert.notInclude(script, "chain inbound")
    assert.notInclude(script, "@virtual")
  })
})

describe("names in a hosts file", () => {
  const text = "127.0.0.1 localhost\n::1 localhost\n"
  const api = { service: "api", address: "240.0.0.1" }

  it("come, change and go, and leave the rest as it was", () => {
    const one = Hosts.withNames(text, [api])
    assert.include(one, `${text}# effect-mesh: virtual addresses\n240.0.0.1 api.virtual.consul\n`)
    const other = Hosts.withNames(one, [{ service: "db", address: "240.0.0.2" }])
    assert.include(other, "240.0.0.2 db.virtual.consul")
    assert.notInclude(other, "api")
    assert.strictEqual(Hosts.withNames(other, []), text)
  })

  it("are found again where a part of before was cut off, whose followers stay", () => {
    const cut = "127.0.0.1 localhost\n# effect-mesh: virtual addresses\n10.0.0.9 printer\n"
    assert.strictEqual(Hosts.withNames(Hosts.withNames(cut, [api]), []), cut)
    const twice = Hosts.withNames(Hosts.withNames(cut, [api]), [{ service: "db", address: "240.0.0.2" }])
    assert.include(twice, "10.0.0.9 printer")
    assert.notInclude(twice, "api")
  })
})

describe("what a registration says", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.0.0.1"],
    ["::", "127.0.0.1"],
    ["localhost", "127.0.0.1"],
    ["10.0.0.7", "10.0.0.7"],
    ["::1", undefined],
    ["127.0.0.1 . 1 }\n}\nflush ruleset\n", undefined],
    ["somewhere", undefined]
  ])("becomes a rule only where it is an address: %j", (host, reached) => {
    assert.strictEqual(Wanted.reachedAt(host), reached)
  })

  it.each([["api", true], ["a.b_c-d", true], ["", false], ["api\n10.0.0.9 bank.example #", false], ["a b", false]])(
    "becomes a name only where it is one: %j",
    (name, is) => assert.strictEqual(Wanted.isName(name), is)
  )
})
