import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as FreeSettings from "../../../src/watch/registration/FreeSettings.ts"

const of = (config: FreeSettings.Config, anySpelling = false) =>
  FreeSettings.of(config, { whose: "the proxy", anySpelling })

describe("FreeSettings", () => {
  it.each<readonly [Schema.Json, number | undefined]>([
    [250, 250],
    ["250", 250],
    [250.9, 250],
    ["", 0],
    [true, 1],
    [1e12, 2 ** 31 - 1],
    [-1, undefined],
    ["-1", undefined],
    ["soon", undefined],
    [[250], undefined],
    [{ a: 1 }, undefined],
    [null, undefined]
  ])("reads %j as milliseconds", (value, expected) => {
    assert.strictEqual(of({ a: value }).millis("a"), expected)
  })

  it.each<readonly [Schema.Json, number | undefined]>([
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["500us", 0.5],
    [1_500_000_000, 1500],
    [0, 0],
    ["10", undefined],
    ["-10s", undefined],
    [-5, undefined],
    ["soon", undefined]
  ])("reads %j as a duration, of nanoseconds where there is no unit", (value, expected) => {
    assert.strictEqual(of({ a: value }).duration("a"), expected)
  })

  it("names what makes no sense, and what nobody asked for, with where it is", () => {
    const free = of({ timeout: "soon", limit: 101, limits: { max: -1, other: 2 }, envoy: "x", group: 3, fine: 1 })
    free.millis("timeout")
    free.count("limit", 100)
    free.group("limits").count("max")
    assert.isUndefined(free.group("group").text("anything"))
    free.number("fine")
    assert.deepStrictEqual(free.ignored(), [
      "the setting timeout of the proxy, where \"soon\" is not a number of milliseconds",
      "the setting limit of the proxy, where 101 is not a whole number from 0 to 100",
      "the setting limits.max of the proxy, where -1 is not a whole number from 0 on",
      "the setting limits.other of the proxy",
      "the setting group of the proxy, where 3 is not a group of settings",
      "the setting envoy of the proxy"
    ])
  })

  it("says nothing of what asks for nothing", () => {
    const free = of({ balance: "exact", nothing: null })
    free.skip("balance", "missing")
    free.text("nothing")
    assert.deepStrictEqual(free.ignored(), [])
  })

  it("takes names whatever their case, and as entries spell them only where these were merged in", () => {
    assert.strictEqual(of({ Max_Connections: 5 }).count("max_connections"), 5)
    assert.isUndefined(of({ MaxConnections: 5 }).count("max_connections"))
    assert.strictEqual(of({ MaxConnections: 5 }, true).count("max_connections"), 5)
    assert.strictEqual(
      of({ Limits: { EnforcingConsecutive5xx: 5 } }, true).group("limits").count("enforcing_consecutive_5xx"),
      5
    )
  })

  it("takes a list of one for what is in it, as HCL writes groups", () => {
    assert.strictEqual(of({ limits: [{ max: 5 }] }).group("limits").count("max"), 5)
  })

  it.prop("reads a number from its text", { value: Schema.Int }, ({ value }) => {
    for (const read of ["number", "count", "millis"] as const) {
      assert.strictEqual(of({ a: String(value) })[read]("a"), of({ a: value })[read]("a"))
    }
  })

  it.prop(
    "leaves no setting unsaid: each has a value, or is named once",
    { settings: Schema.Array(Schema.Tuple([Schema.String, Schema.Json])) },
    ({ settings }) => {
      const config = Object.fromEntries(settings.map(([name, value]) => [name.toLowerCase(), value]))
      const names = Object.keys(config)
      const free = of(config)
      // Every other one, so that some are asked for and some are not.
      const settled = names.filter((name, index) =>
        index % 2 === 0 && (free.millis(name) !== undefined || config[name] === null)
      )
      assert.strictEqual(settled.length + free.ignored().length, names.length)
    }
  )

  it("says what was meant by another spelling, and what stands in the place of what means something elsewhere", () => {
    const free = FreeSettings.of(
      { localConnectTimeoutMs: 5, envoy_prometheus_bind_addr: "0.0.0.0:9102", envoy_bootstrap_json_tpl: "{}", oops: 1 },
      { whose: "the proxy" }
    )
    free.millis("local_connect_timeout_ms")
    assert.deepStrictEqual(free.ignored(), [
      "the setting localConnectTimeoutMs of the proxy: write it local_connect_timeout_ms",
      "the setting envoy_prometheus_bind_addr of the proxy: metrics are told where --admin-bind says, at /metrics",
      "the setting envoy_bootstrap_json_tpl of the proxy: it is configuration of Envoy itself",
      "the setting oops of the proxy"
    ])
  })
})
