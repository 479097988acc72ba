import { assert, describe, it } from "@effect/vitest"
import * as RequestChecks from "../../src/agent/http/RequestChecks.ts"

const check = (line: string, options: { token?: string; headers?: Record<string, string> } = {}) => {
  const [method = "", url = ""] = line.split(" ")
  const refusal = RequestChecks.check(
    { method, url, headers: options.headers ?? {} },
    { datacenter: "dc1", requireToken: options.token, allowedHosts: [] }
  )
  return refusal === undefined ? "goes on" : `${refusal.status} ${refusal.body}`
}

describe("RequestChecks", () => {
  // As a real agent answers them.
  it.each([
    ["GET /v1/nope", "404 Invalid URL path: not a recognized HTTP API endpoint"],
    [
      "GET /nope",
      "404 Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'"
    ],
    ["OPTIONS /v1/agent/self", "200 "],
    ["HEAD /v1/agent/self", "405 method HEAD not allowed"],
    ["DELETE /v1/agent/connect/ca/roots", "405 method DELETE not allowed"],
    ["PUT /v1/connect/intentions/match", "405 method PUT not allowed"],
    ["GET /v1/connect/intentions/match", "goes on"],
    ["GET /v1/config", "405 method GET not allowed"],
    ["GET /v1/agent/connect/ca/leaf/", "500 URI must be either service, agent, server, or kind"],
    ["GET /v1/agent/service/", "404 unknown service ID: "],
    ["GET /v1/health/connect/", "400 Missing service name"],
    ["GET /v1/discovery-chain/", "400 Missing chain name"],
    [
      "PUT /v1/agent/service/deregister/",
      "404 Unknown service ID \"\". Ensure that the service ID is passed, not the service name."
    ],
    ["GET /v1/health/connect/web?index=abc", "400 Invalid index"],
    ["GET /v1/health/connect/web?index=-1", "400 Invalid index"],
    ["GET /v1/health/connect/web?index=18446744073709551616", "400 Invalid index"],
    ["GET /v1/health/connect/web?index=18446744073709551615", "goes on"],
    ["GET /v1/health/connect/web?wait=soon", "400 Invalid wait time"],
    ["GET /v1/health/connect/web?wait=5", "400 Invalid wait time"],
    ["GET /v1/agent/service/web?hash=x&wait=soon", "400 Invalid wait time"],
    ["GET /v1/health/connect/web?passing=foo", "400 Invalid value for ?passing"],
    ["GET /v1/health/connect/web?passing", "goes on"],
    [
      "GET /v1/health/connect/web?stale&consistent",
      "400 Cannot specify ?stale with ?consistent, conflicting semantics."
    ],
    [
      "GET /v1/health/connect/web?cached&consistent",
      "400 Cannot specify ?cached with ?consistent, conflicting semantics."
    ],
    ["GET /v1/health/connect/web?max_stale=foo&stale", "400 Invalid max_stale value \"foo\""],
    [
      "GET /v1/health/connect/web?ns=foo",
      "400 Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature"
    ],
    [
      "GET /v1/health/connect/web?partition=foo",
      "400 Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature"
    ],
    ["GET /v1/health/connect/web?dc=nowhere", "500 No path to datacenter"],
    ["GET /v1/health/connect/web?dc=dc1", "goes on"],
    ["GET /v1/agent/services?dc=nowhere", "goes on"],
    ["PUT /v1/agent/service/maintenance/web", "400 Missing value for enable"],
    ["PUT /v1/agent/service/maintenance/web?enable=foo", "400 Invalid value for enable: \"foo\""],
    ["PUT /v1/config?cas=foo", "500 strconv.ParseUint: parsing \"foo\": invalid syntax"],
    ["GET /v1/agent/service/%", "400 400 Bad Request"],
    ["GET /v1/config/service-defaults/%zz", "400 400 Bad Request"],
    ["GET /v1/nope/%zz", "400 400 Bad Request"],
    ["GET /v1/agent/service/%25", "goes on"],
    ["GET /v1/agent/connect/ca/leaf/a%0ab", "400 "],
    ["GET /v1/agent/connect/ca/leaf/a%7Fb", "400 "],
    ["GET /v1/agent/connect/ca/leaf/a%C2%85b", "400 "],
    ["GET /v1/agent/connect/ca/leaf/a%C2%A0b", "400 "],
    ["GET /v1/agent/connect/ca/leaf/a%E2%80%8Bb", "400 "],
    ["GET /v1/agent/connect/ca/leaf/a%20%C3%A4", "goes on"],
    ["GET /v1/health/connect/web?index=1&index=abc", "goes on"],
    ["GET /v1/health/connect/web?passing&passing=foo", "goes on"],
    [
      "GET /v1/connect/intentions/exact?source=a&source=b&destination=c",
      "500 required query parameter 'source' not set"
    ],
    // A real agent answers these without a text.
    ["GET /v1/health/connect/web?near=%zz", "500 invalid URL escape \"%zz\""],
    ["DELETE /v1/agent/self?near=%", "500 invalid URL escape \"%\""],
    ["GET /v1/health/connect/web?index=1;wait=2", "500 invalid semicolon separator in query"],
    // Consul takes any bytes for a name.
    ["GET /v1/agent/service/%ff", "400 400 Bad Request"]
  ])("%s: %s", (line, expected) => assert.strictEqual(check(line), expected))

  it.each([
    ["/v1/health/service/web?near=a&near=b", "/v1/health/service/web?near=a"],
    ["/v1/health/service/web?cached=x&index=&cached=y", "/v1/health/service/web?cached=x"],
    ["/v1/health/service/web?tag=a&near=n&tag=b", "/v1/health/service/web?tag=a&near=n&tag=b"],
    ["/v1/connect/intentions/match?by=source&name=a&name=b", "/v1/connect/intentions/match?by=source&name=a&name=b"],
    ["/v1/agent/service/a;b", "/v1/agent/service/a%3Bb"],
    ["/v1/agent/self?", "/v1/agent/self"]
  ])(
    "reads %s as %s",
    (url, expected) => assert.strictEqual(RequestChecks.normalizeUrl({ method: "GET", url }), expected)
  )

  it("says which methods there are", () =>
    assert.deepStrictEqual(
      RequestChecks.check({ method: "POST", url: "/v1/connect/ca/configuration", headers: {} }, {
        datacenter: "dc1",
        requireToken: undefined,
        allowedHosts: []
      })?.headers,
      { allow: "OPTIONS,GET,PUT" }
    ))

  it.each([
    [{}, "403 Permission denied: anonymous token"],
    [{ "x-consul-token": "other" }, "403 ACL not found"],
    [{ "x-consul-token": "secret" }, "goes on"],
    [{ authorization: "Bearer secret" }, "goes on"],
    [{ authorization: "Basic secret" }, "403 Permission denied: anonymous token"]
  ])(
    "asks for the token: %j: %s",
    (headers, expected) => assert.isTrue(check("GET /v1/agent/self", { token: "secret", headers }).startsWith(expected))
  )

  it("asks for no token to say who leads", () =>
    assert.strictEqual(check("GET /v1/status/leader", { token: "secret" }), "goes on"))
})
