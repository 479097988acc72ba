/** What a registration says once config entries are merged into it, as a Consul 1.21 answered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"

const Recorded = Schema.Array(Schema.Struct({
  name: Schema.String,
  config: Schema.Array(Schema.JsonObject),
  registration: Schema.JsonObject,
  answer: Schema.JsonObject
}))

const recorded = Schema.decodeUnknownSync(Recorded)(
  JSON.parse(readFileSync(new URL("../fixtures/consul-1.21/merged-registrations.json", import.meta.url), "utf8"))
)

const put = (url: string, body: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "PUT", body: JSON.stringify(body) })
    assert.isTrue(response.ok, await response.text())
  })

describe("the merged registration", () => {
  it.live.each(recorded)(
    "is that of a real agent: $name",
    ({ answer, config, registration }) =>
      Effect.gen(function*() {
        const { address: url } = yield* DevelopmentAgent.make({ port: 0 })
        for (const entry of config) yield* put(`${url}/v1/config`, entry)
        yield* put(`${url}/v1/agent/service/register`, registration)
        const { Proxy } = yield* Effect.promise(async () =>
          await (await fetch(`${url}/v1/agent/service/web-sidecar-proxy`)).json() as { readonly Proxy: unknown }
        )
        assert.deepStrictEqual(Proxy, answer)
      })
  )
})
