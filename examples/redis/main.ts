/**
 * `ioredis`, unchanged, calls a service of the mesh that speaks Redis. `cache` admits `shop` and no other service.
 * Runs against the agent at CONSUL_HTTP_ADDR, or one of its own:
 *
 *     node examples/redis/main.ts
 */
import * as assert from "node:assert/strict"
import { Layer, ManagedRuntime } from "effect"
import { AbstractConnector, Redis } from "ioredis"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as Consul from "../plain/consul.ts"
import { cache } from "./cache.ts"

const consul = await Consul.open()
await consul.write({ Kind: "service-intentions", Name: "cache", Sources: [{ Name: "shop", Action: "allow" }] })
const service = ManagedRuntime.make(Layer.provide(cache, ConsulClient.layer(consul.settings)))
await service.context()

/** Calls `cache` in the name of a service. Only the connector knows the mesh. */
const visit = async (mesh: PlainMesh.PlainMesh) => {
  class Connector extends AbstractConnector {
    constructor() {
      super(100) // milliseconds for the other side to close
    }
    override connect = async () => this.stream = await mesh.connect("cache")
  }
  const redis = new Redis({ Connector, maxRetriesPerRequest: 0, retryStrategy: () => null })
  redis.on("error", () => {})
  try {
    await redis.set("greeting", "Grüß Gott")
    const visits = await Promise.all([redis.del("visits"), redis.incr("visits"), redis.incr("visits")])
    return [await redis.acl("WHOAMI"), await redis.get("greeting"), ...visits.slice(1)]
  } finally {
    redis.disconnect()
  }
}
const shop = await PlainMesh.join({ service: "shop", consul: consul.settings })
const guest = await PlainMesh.join({ service: "guest", consul: consul.settings })

assert.deepEqual(await Consul.eventually(() => visit(shop)), ["shop", "Grüß Gott", 1, 2])
console.log("ioredis visits cache through the mesh, and cache knows that it is shop")
await assert.rejects(visit(guest), /closed|ECONNRESET|EPIPE/)
console.log("guest is not let in")

await guest.close()
await shop.close()
await service.dispose()
await consul.close()
