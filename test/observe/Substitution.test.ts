import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { hostname } from "node:os"
import * as Substitution from "../../src/observe/Substitution.ts"

const facts = (more: Partial<Substitution.Facts> = {}): Substitution.Facts => ({
  startTime: Date.UTC(2026, 0, 5, 7, 8, 9, 123),
  operator: (name) =>
    ({ RESPONSE_FLAGS: "UF", UPSTREAM_HOST: "[::1]:80", UPSTREAM_CLUSTER: "local_app" } as Record<string, string>)[
      name
    ],
  request: (name) => ({ ":path": "/new?a=1&q=2=3&q=4", "content-type": "application/grpc+proto" })[name],
  response: (name) => name === ":status" ? "200" : undefined,
  trailer: (name) => name === "grpc-status" ? "5" : undefined,
  ...more
})

const text = (format: string, of = facts()): string => Result.getOrThrow(Substitution.compile(format)).text(of, "-")

describe("Substitution", () => {
  it.each([
    ["%HOSTNAME%", hostname()],
    ["%RESP(:STATUS)%", "200"],
    ["%UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT% %UPSTREAM_CLUSTER_RAW%", "[::1]:80 [::1] local_app"],
    ["%RESPONSE_FLAGS_LONG%", "UpstreamConnectionFailure"],
    ["%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%", "NotFound NOT_FOUND 5"],
    ["%PATH% %PATH(NQ)% %QUERY_PARAM(q)% %QUERY_PARAM(none)%", "/new?a=1&q=2=3&q=4 /new 2=3 -"],
    ["%START_TIME(%d/%b/%Y:%H:%M:%S %z)%", "05/Jan/2026:07:08:09 +0000"],
    ["%START_TIME(%a %e %j %s.%3f)%", "Mon  5 005 1767596889.123"]
  ])("says of %s: %s", (format, said) => assert.strictEqual(text(format), said))

  it("knows the path before it was rewritten", () => {
    const request = (name: string) => ({ ":path": "/new", "x-envoy-original-path": "/old?a" })[name]
    assert.strictEqual(text("%PATH% %PATH(WQ:PATH)% %PATH(NQ:ORIG)%", facts({ request })), "/old?a /new /old")
  })

  it("has no status of gRPC for anything else", () => {
    const request = () => "application/grpc-web"
    assert.strictEqual(text("%GRPC_STATUS% %GRPC_STATUS_NUMBER%", facts({ request })), "- -")
  })

  it.each(["%TRACE_ID%", "%UPSTREAM_WIRE_BYTES_SENT%", "%DOWNSTREAM_PEER_FINGERPRINT_256%", "%DYNAMIC_METADATA(a:b)%"])(
    "takes %s, which Envoy knows, and has nothing to say",
    (format) => assert.strictEqual(text(format), "-")
  )

  it.each(["%NOPE%", "%DOWNSTREAM_NOPE%", "%", "%REQ()%"])(
    "refuses %s",
    (format) => assert.isTrue(Result.isFailure(Substitution.compile(format)))
  )
})
