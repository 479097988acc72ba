import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Proxy from "../../../src/consul/Proxy.ts"
import * as Exposed from "../../../src/watch/registration/Exposed.ts"

const decode = Schema.decodeUnknownSync(Schema.toCodecGoJson(Proxy.Expose))

const parse = (
  expose: unknown,
  application: Parameters<typeof Exposed.parse>[2] = { host: "127.0.0.1", port: 9090 }
) => Exposed.parse(decode(expose), "10.0.0.1", application)

const health = { Path: "/health", ListenerPort: 24450, LocalPathPort: 9091 }

describe("exposed paths", () => {
  it("listen beside the public listener, and lead to the port they name", () => {
    assert.deepStrictEqual(
      parse({ Paths: [health, { ...health, ListenerPort: 24451, Protocol: "http2", ParsedFromCheck: true }] }),
      {
        exposed: [{
          path: "/health",
          listen: { host: "10.0.0.1", port: 24450 },
          application: { host: "127.0.0.1", port: 9091 },
          protocol: "http",
          onlyAgent: false
        }, {
          path: "/health",
          listen: { host: "10.0.0.1", port: 24451 },
          application: { host: "127.0.0.1", port: 9091 },
          protocol: "http2",
          onlyAgent: true
        }],
        ignored: []
      }
    )
  })

  it("lead to the unix socket of an application that has one, whatever port they name", () => {
    const socket = { path: "/run/app.sock" }
    const { exposed } = parse({ Paths: [{ ...health, LocalPathPort: 0 }] }, socket)
    assert.deepStrictEqual(exposed.map(({ application }) => application), [socket])
  })

  it.each([
    [{ Path: "health" }, /"health".*a slash/],
    [{ Path: "" }, /"".*a slash/],
    [{ ListenerPort: 0 }, /ListenerPort is 0/],
    [{ ListenerPort: 70_000 }, /ListenerPort is 70000/],
    [{ LocalPathPort: 0 }, /LocalPathPort is 0/],
    [{ Protocol: "grpc" }, /protocol is "grpc"/]
  ])("are left out, and said, where they can not be: %j", (wrong, said) => {
    const { exposed, ignored } = parse({ Paths: [{ ...health, ...wrong }, { ...health, ListenerPort: 24460 }] })
    assert.deepStrictEqual(exposed.map(({ listen }) => listen.port), [24460])
    assert.strictEqual(ignored.length, 1)
    assert.match(ignored[0]!, said)
  })

  it("do not share a port", () => {
    const { exposed, ignored } = parse({ Paths: [health, { ...health, Path: "/metrics" }] })
    assert.deepStrictEqual(exposed.map(({ path }) => path), ["/health"])
    assert.match(ignored[0]!, /"\/metrics": its ListenerPort 24450 is that of "\/health"/)
  })

  it("are not known for checks: what to do is said", () => {
    const { exposed, ignored } = parse({ Checks: true })
    assert.deepStrictEqual(exposed, [])
    assert.match(ignored[0]!, /exposed checks: .*Switch Expose.Checks off/)
  })
})
