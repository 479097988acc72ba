import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiSchema } from "effect/http-api"
import * as ApiError from "../../src/consul/ApiError.ts"
import { ConsulApi } from "../../src/consul/ConsulApi.ts"
import * as Health from "../../src/consul/Health.ts"
import * as recordings from "../support/recordings.ts"

/** Every endpoint of the API with the pattern of its path, the literal ones first, as a router prefers them. */
const endpoints = (() => {
  const found: Array<{ method: string; group: string; endpoint: string; path: RegExp; params: number }> = []
  HttpApi.reflect(ConsulApi, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, group }) => {
      found.push({
        method: endpoint.method,
        group: group.identifier,
        endpoint: endpoint.identifier,
        path: new RegExp(`^${endpoint.path.replace(/:\w+/g, "[^/]+")}$`),
        params: endpoint.path.split(":").length
      })
    }
  })
  return found.sort((a, b) => a.params - b.params)
})()

const decodeAs = (group: string, endpoint: string) =>
  HttpApiClient.decodeResponse(ConsulApi, { group: group as "agent", endpoint: endpoint as "self" })

const response = (status: number, headers: Record<string, string>, body: string) =>
  HttpClientResponse.fromWeb(HttpClientRequest.get("http://consul"), new Response(body, { status, headers }))

/** Not in the API: what is answered there is for people or for other tools. */
const outside = [/^\/v1\/nope$/, /^\/v1\/agent\/connect\/ca\/leaf\/$/, /[?&]pem=true/]

describe("ConsulApi", () => {
  for (const recording of recordings.all) {
    const exchanges = recording.exchanges.filter(({ request }) =>
      !outside.some((pattern) => pattern.test(request.path))
    )
    if (exchanges.length === 0) continue
    describe(recording.name, () => {
      for (const exchange of exchanges) {
        const { request, status } = exchange
        it.effect(`decodes the answer to ${recordings.title(exchange)}`, () =>
          Effect.gen(function*() {
            const path = request.path.split("?")[0] ?? ""
            const matching = endpoints.filter((candidate) => candidate.path.test(path))
            const endpoint = matching.find(({ method }) => method === request.method) ?? matching[0]
            assert.isDefined(endpoint)
            const decode = decodeAs(endpoint.group, endpoint.endpoint)
            const exit = yield* Effect.exit(
              decode(response(status, exchange.headers, recordings.bodyText(exchange)))
            )
            if (status < 400) {
              assert.isTrue(Exit.isSuccess(exit), String(exit))
            } else {
              const failure = yield* Effect.flip(exit)
              assert.include(["BadRequest", "NotFound", "MethodNotAllowed", "InternalError"], failure._tag)
              assert.strictEqual("body" in failure && failure.body, exchange.body)
            }
          }))
      }
    })
  }

  it.effect("reads the headers", () =>
    Effect.gen(function*() {
      const { body, headers } = yield* decodeAs("health", "connect")(response(200, {
        "X-Consul-Index": "18446744073709551615",
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "7",
        "X-Consul-Default-Acl-Policy": "deny",
        "X-Cache": "HIT",
        "Age": "3"
      }, "null"))
      assert.deepStrictEqual(body as unknown, [])
      assert.deepStrictEqual(headers as unknown, {
        "x-consul-index": 18446744073709551615n,
        "x-consul-knownleader": true,
        "x-consul-lastcontact": 7,
        "x-consul-default-acl-policy": "deny",
        "x-cache": "HIT",
        age: 3
      })
    }))

  it.effect("gives the index of a config entry that does not exist yet", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(
        decodeAs("config", "read")(response(404, { "X-Consul-Index": "221" }, "Config entry not found"))
      )
      assert.deepStrictEqual(failure, new ApiError.NotFound({ body: "Config entry not found", index: 221n }))
    }))

  it.effect("fails on an answer that is not JSON, on a wrong type, on a bad index", () =>
    Effect.gen(function*() {
      const decode = decodeAs("health", "connect")
      for (
        const broken of [
          response(200, {}, "[{\"Node\":"),
          response(200, {}, "[{\"Node\":{\"Node\":7}}]"),
          response(200, {}, "{}"),
          response(200, { "x-consul-index": "soon" }, "[]")
        ]
      ) {
        const failure = yield* Effect.flip(decode(broken))
        assert.include(["SchemaError", "HttpClientError"], failure._tag)
      }
    }))

  it("reads absent, null and empty alike", () => {
    const decode = Schema.decodeUnknownSync(Schema.toCodecGoJson(Health.ServiceEntry))
    const node = { Node: "n", Meta: {}, TaggedAddresses: {} }
    const service = { ID: "web", Service: "web", Tags: [], Meta: {}, Connect: {}, Proxy: {}, Port: 0 }
    assert.deepStrictEqual(
      decode({
        Node: { Node: "n", Meta: null, Unknown: 1 },
        Service: { ID: "web", Service: "web", Tags: null, Meta: null, Connect: null, Proxy: null },
        Checks: null
      }),
      decode({ Node: node, Service: service, Checks: [] })
    )
  })

  it("declares headers on every success but the health of an instance", () => {
    HttpApi.reflect(ConsulApi, {
      onGroup: () => {},
      onEndpoint: ({ endpoint }) => {
        if (endpoint.identifier.startsWith("serviceHealth")) return
        for (const success of endpoint.success) assert.isTrue(HttpApiSchema.isWithHeaders(success), endpoint.identifier)
      }
    })
  })
})
