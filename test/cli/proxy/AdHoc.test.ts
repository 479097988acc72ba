import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import * as AdHoc from "../../../src/cli/proxy/AdHoc.ts"

const none = {
  service: Option.none<string>(),
  serviceAddr: Option.none<string>(),
  listen: Option.none<string>(),
  upstream: [],
  register: false,
  registerId: Option.none<string>()
}

const frontend = { ...none, service: Option.some("frontend") }

const describedBy = (options: Parameters<typeof AdHoc.parse>[0]) => {
  const adHoc = Result.getOrThrow(AdHoc.parse(options))
  assert.isDefined(adHoc)
  return adHoc
}

describe("a proxy that flags describe", () => {
  it("lets nobody in where it is only told whom to call", () => {
    const { register, registration } = describedBy({ ...frontend, upstream: ["db:8181"] })
    assert.strictEqual(registration.service, "frontend")
    assert.strictEqual(registration.proxyId, "frontend-proxy")
    assert.isUndefined(registration.listen)
    assert.deepStrictEqual(
      registration.upstreams.map(({ bind, query, service }) => ({ bind, query, service })),
      [{ bind: { host: "127.0.0.1", port: 8181 }, query: undefined, service: "db" }]
    )
    assert.isFalse(register)
  })

  it.each(
    [
      [":8443", { host: "0.0.0.0", port: 8443 }],
      ["10.0.0.1:8443", { host: "10.0.0.1", port: 8443 }],
      ["localhost:8443", { host: "localhost", port: 8443 }],
      ["[::1]:8443", { host: "::1", port: 8443 }],
      ["[]:8443", { host: "0.0.0.0", port: 8443 }]
    ] as const
  )("lets callers in at %s", (listen, expected) => {
    const { registration } = describedBy({
      ...frontend,
      listen: Option.some(listen),
      serviceAddr: Option.some(":8080"),
      register: true,
      registerId: Option.some("two")
    })
    assert.deepStrictEqual(registration.listen, expected)
    assert.deepStrictEqual(registration.application, { host: "127.0.0.1", port: 8080 })
    assert.strictEqual(registration.proxyId, "frontend-proxy-two")
  })

  it.each(
    [
      ["db:8181", "service db 127.0.0.1 8181"],
      ["db.service:8181", "service db 127.0.0.1 8181"],
      ["db.:8181", "service db 127.0.0.1 8181"],
      ["db.query:8181", "prepared_query db 127.0.0.1 8181"],
      ["db:127.0.0.10:8282", "service db 127.0.0.10 8282"],
      ["db::8282", "service db 127.0.0.1 8282"],
      ["db.query:[::1]:8282", "prepared_query db ::1 8282"]
    ] as const
  )("reads --upstream %s", (text, expected) => {
    const upstream = Result.getOrThrow(AdHoc.parseUpstream(text))
    assert.strictEqual(
      `${upstream.DestinationType} ${upstream.DestinationName} ${upstream.LocalBindAddress} ${upstream.LocalBindPort}`,
      expected
    )
  })

  it("keeps the last of several upstreams of a name", () => {
    const { registration } = describedBy({ ...frontend, upstream: ["db:1", "api:2", "db:3", "db.query:4"] })
    assert.deepStrictEqual(registration.upstreams.map(({ bind, id }) => `${id} ${"port" in bind ? bind.port : ""}`), [
      "db 3",
      "api 2",
      "db.query 4"
    ])
  })

  it("is undefined where no flag describes one", () => assert.isUndefined(Result.getOrThrow(AdHoc.parse(none))))

  it.each(
    [
      ["nothing to do", frontend, "--upstream NAME:PORT"],
      ["an upstream without a port", { ...frontend, upstream: ["db"] }, "write NAME:PORT"],
      ["an upstream without a name", { ...frontend, upstream: [":8181"] }, "write NAME:PORT"],
      ["an unknown kind", { ...frontend, upstream: ["db.quary:8181"] }, ".query (a prepared query)"],
      ["port 0", { ...frontend, upstream: ["db:0"] }, "a port from 1 to 65535"],
      ["a port that is none", { ...frontend, upstream: ["db:99999"] }, "a port from 1 to 65535"],
      ["no application", { ...frontend, listen: Option.some(":8443") }, "--service-addr HOST:PORT"],
      ["an application without a port", {
        ...frontend,
        listen: Option.some(":8443"),
        serviceAddr: Option.some("localhost")
      }, "--service-addr is"],
      ["--register without an address", { ...frontend, upstream: ["db:1"], register: true }, "--listen [HOST]:PORT"],
      ["--register without a service", { ...none, register: true }, "give --service and --listen"]
    ] as const
  )("refuses %s, saying what to give", (_, options, text) => {
    const why = Result.getOrThrow(Result.flip(AdHoc.parse(options)))
    assert.include(why, text)
  })
})
