/**
 * Replays the requests recorded from a real Consul 1.10 agent against the development agent, which answers as today's
 * Consul does. Every deliberate difference is listed here, with its reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as recordings from "../support/recordings.ts"
import { setups } from "../support/recordingSetup.ts"
import * as shapes from "../support/shapes.ts"

/** Requests whose answer differs between 1.10 and today in status, or that are no part of this agent. */
const skipped: ReadonlyArray<{ readonly request: RegExp; readonly why: string }> = [
  { request: /^PUT \/v1\/agent\/service\/deregister\/nope$/, why: "an unknown id is 404 since 1.11" }
]

/** Headers that are not compared. */
const ignoredHeaders = new Set(["vary", "date"])

/** Texts that changed since 1.10: recorded, today's. */
const texts = new Map([
  ["Bad request: ClientCertURI not a valid Connect identifier", "ClientCertURI not a valid Connect identifier"],
  ["Bad request: Target service must be specified", "Target service must be specified"],
  ["URI must be either service or agent", "URI must be either service, agent, server, or kind"],
  [
    "Bad request: Request decoding failed: invalid config entry kind: nonsense",
    "Request decoding failed: invalid config entry kind: nonsense"
  ],
  [
    "Bad request: Request decoding failed: '' expected a map, got 'string'",
    "Request decoding failed: '' expected a map, got 'string'"
  ],
  [
    `split destination occurs more than once: service="web", subset="", namespace=""`,
    `split destination occurs more than once: service="web", subset="", namespace="", partition=""`
  ],
  [
    "2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\t* Port or SocketPath must be set for a Connect proxy\n\n",
    "Validation failed: 2 errors occurred:\n\t* Port or SocketPath must be set for a connect-proxy\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\n"
  ],
  // 1.10 says nothing at all.
  ["", "Invalid URL path: not a recognized HTTP API endpoint"]
])

/** Fields of 1.10 that today's Consul leaves out, and the one that depends on time. */
const ignoredFields = [
  /\.SocketPath$/, // only written when set, since 1.11
  /\.(CreatedAt|UpdatedAt)$/
]

/** Maps whose keys are names or ids. */
const maps = [/\.(Nodes|Targets)$/, /^\$$/]

const shapeOptions = {
  ignore: (path: string) => ignoredFields.some((field) => field.test(path)),
  byKey: (path: string) => maps.some((map) => map.test(path))
}

/** Ids name the partition since 1.11. */
const partitioned = (text: string): string =>
  text
    .replace(/"((?:router|splitter):)?([\w-]+)\.default"/g, "\"$1$2.default.default\"")
    .replace(/"((?:resolver:)?(?:[\w-]+\.)?[\w-]+)\.default\.(dc\d)"/g, "\"$1.default.default.$2\"")

/** Without what is another in every agent. */
const anonymous = (text: string): string =>
  text
    .replace(/[0-9a-f-]{36}\.consul/g, "TRUST-DOMAIN")
    .replace(/"CustomizationHash":"[0-9a-f]{8}"/g, "\"CustomizationHash\":\"SOME\"")

/** Chains are compared by value: everything recorded is in the answer. */
const notIn = (recorded: Schema.Json, actual: Schema.Json | undefined, path = "$"): ReadonlyArray<string> => {
  if (Array.isArray(recorded) && Array.isArray(actual)) {
    return recorded.length === actual.length
      ? recorded.flatMap((element, index) => notIn(element, actual[index], `${path}[${index}]`))
      : [`${path}: ${recorded.length} elements recorded, ${actual.length} answered`]
  }
  if (isObject(recorded) && isObject(actual)) {
    return Object.entries(recorded).flatMap(([key, value]) => notIn(value, actual[key], `${path}.${key}`))
  }
  return recorded === actual
    ? []
    : [`${path}: ${JSON.stringify(recorded)} recorded, ${JSON.stringify(actual)} answered`]
}

const isObject = (value: unknown): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const send = (address: string, method: string, path: string, body: Schema.Json | undefined) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${address}${path}`, {
      method,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

describe("DevelopmentAgent, beside recorded exchanges", () => {
  for (const recording of recordings.all) {
    const setup = setups[recording.name]
    if (setup === undefined) continue
    describe(recording.name, () => {
      // In one test, as the exchanges of a recording build on each other.
      it.live(recording.about, () =>
        Effect.gen(function*() {
          const { address } = yield* DevelopmentAgent.make({ port: 0, nodeName: "vm" })
          for (const { body, method, path } of setup) {
            const written = yield* send(address, method ?? (body === undefined ? "GET" : "PUT"), path, body)
            assert.strictEqual(written.status, 200, `${JSON.stringify(body)}: ${written.text}`)
          }
          for (const exchange of recording.exchanges) {
            const { body, method, path } = exchange.request
            const title = recordings.title(exchange)
            if (skipped.some(({ request }) => request.test(`${method} ${path}`))) continue
            const answer = yield* send(address, method, path, body)
            assert.strictEqual(answer.status, exchange.status, `${title}: ${answer.text}`)
            for (const name of Object.keys(exchange.headers)) {
              if (!ignoredHeaders.has(name)) assert.isNotNull(answer.headers.get(name), `${title}: header ${name}`)
            }
            if (exchange.headers["content-type"] !== "application/json") {
              const recorded = String(exchange.body)
              if (recorded.startsWith("-----BEGIN")) assert.match(answer.text, /^-----BEGIN CERTIFICATE-----\n/)
              else {assert.strictEqual(
                  answer.text,
                  exchange.status === 200 ? recorded : texts.get(recorded) ?? recorded,
                  title
                )}
              continue
            }
            const actual: Schema.Json = JSON.parse(answer.text)
            assert.deepStrictEqual(shapes.missing(exchange.body, actual, shapeOptions), [], title)
            if (path.startsWith("/v1/discovery-chain/")) {
              assert.deepStrictEqual(
                notIn(
                  JSON.parse(partitioned(anonymous(JSON.stringify(exchange.body)))),
                  JSON.parse(anonymous(answer.text))
                ),
                [],
                title
              )
            }
          }
        }))
    })
  }
})
