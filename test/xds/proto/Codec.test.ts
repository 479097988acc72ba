import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Buffer } from "node:buffer"
import { readdirSync, readFileSync } from "node:fs"
import { decode, decodeAny } from "../../../src/xds/proto/Decode.ts"
import * as Discovery from "../../../src/xds/proto/Discovery.ts"
import { any, encode, typeUrl } from "../../../src/xds/proto/Encode.ts"
import type { Name } from "../../../src/xds/proto/Messages.ts"

const folder = new URL("../../fixtures/parity/envoy/", import.meta.url)

interface Dump {
  readonly clusters: ReadonlyArray<object>
  readonly listeners: ReadonlyArray<object>
  readonly routes: ReadonlyArray<object>
}

const names: Readonly<Record<keyof Dump, Name>> = {
  clusters: "cluster.Cluster",
  listeners: "listener.Listener",
  routes: "route.RouteConfiguration"
}

/** Everything that Envoys showed of themselves under a real Consul. */
const recorded = readdirSync(folder).flatMap((file) => {
  const { dumps } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as {
    dumps: Record<string, ReadonlyArray<Partial<Dump>>>
  }
  return Object.entries(dumps).flatMap(([proxy, parts]) =>
    (["clusters", "listeners", "routes"] as const).flatMap((kind) =>
      parts.flatMap((part) => part[kind] ?? []).map((resource) => ({
        title: `${file} ${proxy} ${kind}`,
        name: names[kind],
        resource
      }))
    )
  )
})

/** A field of a number that no definition has, with a text in it. */
const strange = (bytes: Uint8Array, number: number): Uint8Array => {
  const tag = (number << 3) | 2
  return new Uint8Array([...bytes, (tag & 127) | 128, tag >> 7, 2, 104, 105])
}

describe("encode and decode", () => {
  it.each(recorded)("give back $title as they were", ({ name, resource }) => {
    const { "@type": type, ...message } = resource as { "@type": string }
    const read = decode(name, encode(name, message))
    assert.deepStrictEqual(read, { message: message as never, unknown: [] })
    assert.strictEqual(type, typeUrl(name))
  })

  it("keep what stands in a oneof though it is nothing", () => {
    assert.deepStrictEqual(decode("route.RouteMatch", encode("route.RouteMatch", { prefix: "" })).message, {
      prefix: ""
    })
  })

  it.prop("keep any text, number and flag", {
    name: Schema.String.check(Schema.makeFilter((text) => text.isWellFormed())),
    port: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4294967295 })),
    flag: Schema.Boolean
  }, ({ flag, name, port }) => {
    const message = {
      name,
      address: { socket_address: { address: name, port_value: port } },
      enable_reuse_port: flag
    }
    const { message: read } = decode("listener.Listener", encode("listener.Listener", message))
    assert.strictEqual(read.name ?? "", name)
    assert.deepStrictEqual(read.address?.socket_address?.port_value, port)
    assert.strictEqual(read.enable_reuse_port, flag)
  })

  it("leave out what is undefined", () => {
    assert.deepStrictEqual(encode("core.Pipe", { path: "/x", mode: undefined }), encode("core.Pipe", { path: "/x" }))
  })
})

describe("encode", () => {
  it("refuses a field that no definition has", () => {
    // @ts-expect-error the types know as well
    assert.throws(() => encode("core.Pipe", { path: "/x", color: "red" }), /color/)
  })

  it("refuses a value that an enum does not have", () => {
    // @ts-expect-error the types know as well
    assert.throws(() => encode("cluster.Cluster", { type: "MAGIC" }), /MAGIC/)
  })

  it("refuses a message of a type that no definition has", () => {
    const filter = { name: "x", typed_config: { "@type": "type.googleapis.com/no.such.Thing" } }
    assert.throws(() => encode("listener.Filter", filter), /no\.such\.Thing/)
  })
})

describe("decode", () => {
  it("names a field that it does not know, wherever it is", () => {
    const filter = {
      name: "rbac",
      typed_config: any("network_rbac.RBAC", { stat_prefix: "x" })
    }
    assert.deepStrictEqual(decode("listener.Filter", strange(encode("listener.Filter", filter), 77)).unknown, [
      "field 77"
    ])
    const within = Discovery.encodeResponse({
      typeUrl: typeUrl("listener.Filter"),
      nonce: "1",
      systemVersion: "",
      removed: [],
      resources: [{
        name: "a",
        version: "1",
        typeUrl: typeUrl("network_rbac.RBAC"),
        bytes: strange(encode("network_rbac.RBAC", { stat_prefix: "x" }), 99)
      }]
    })
    const opened = decode("discovery.DeltaDiscoveryResponse", within)
    assert.deepStrictEqual(opened.unknown, ["resources[0].resource: field 99"])
  })

  it("names a type that it does not know, and keeps its bytes", () => {
    const opened = decodeAny({ typeUrl: "type.googleapis.com/no.such.Thing", value: new Uint8Array([1, 2]) })
    assert.deepStrictEqual(opened, {
      message: { "@type": "type.googleapis.com/no.such.Thing", value: "AQI=" },
      unknown: ["type no.such.Thing"]
    })
  })

  it("names bytes that are not of the type that they say", () => {
    const opened = decodeAny({ typeUrl: typeUrl("cluster.Cluster"), value: new Uint8Array([10, 200]) })
    assert.deepStrictEqual(opened.unknown, ["bytes that are no envoy.config.cluster.v3.Cluster"])
  })

  it("names a value that an enum does not have", () => {
    // Field 6 of a cluster is its load balancing policy; 4 was taken out of the enum.
    assert.deepStrictEqual(decode("cluster.Cluster", new Uint8Array([48, 4])).unknown, ["lb_policy: value 4"])
  })

  it.prop("ends by itself, whatever the bytes", { text: Schema.Uint8Array }, ({ text }) => {
    const { unknown } = decodeAny({ typeUrl: typeUrl("listener.Listener"), value: text })
    assert.isArray(unknown)
  })
})

describe("a delta stream", () => {
  it("carries resources as the bytes that they are", () => {
    const response: Discovery.DeltaResponse = {
      typeUrl: typeUrl("cluster.Cluster"),
      nonce: "7",
      systemVersion: "",
      removed: ["gone"],
      resources: [{
        name: "web",
        version: "a1",
        typeUrl: typeUrl("cluster.Cluster"),
        bytes: Buffer.from(encode("cluster.Cluster", { name: "web" }))
      }]
    }
    const read = Discovery.decodeResponse(Discovery.encodeResponse(response))
    assert.deepStrictEqual({ ...read, resources: [] }, { ...response, resources: [] })
    const [resource] = read.resources
    assert.strictEqual(resource?.version, "a1")
    assert.deepStrictEqual(decodeAny({ typeUrl: resource!.typeUrl, value: resource!.bytes }), {
      message: { "@type": typeUrl("cluster.Cluster"), name: "web" },
      unknown: []
    })
  })

  it("carries what a client has and wants", () => {
    const request: Discovery.DeltaRequest = {
      node: { id: "web-1", metadata: { port: 1 } },
      type_url: typeUrl("cluster.Cluster"),
      resource_names_subscribe: ["*"],
      initial_resource_versions: { a: "1" },
      error_detail: { code: 13, message: "no" }
    }
    assert.deepStrictEqual(Discovery.decodeRequest(Discovery.encodeRequest(request)).message, request)
  })
})
