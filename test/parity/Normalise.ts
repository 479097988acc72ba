/** What differs from one run to the next becomes a placeholder, as in the recordings. Everything else stays as it is. */
import { Schema } from "effect"
import * as Json from "./Json.ts"

export interface Names {
  readonly trustDomain: string
  /** What the recordings call a port. */
  readonly ports: ReadonlyMap<number, string>
}

/** Longer texts are cut. */
const longest = 3000

export const value = (it: Schema.Json, names: Names): Schema.Json =>
  typeof it === "string"
    ? cut(text(it, names))
    : Json.isArray(it)
    ? it.map((item) => value(item, names))
    : Json.isObject(it)
    ? Object.fromEntries(Object.entries(it).map(([key, item]) => [key, value(item, names)]))
    : it

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

const text = (text: string, { ports, trustDomain }: Names): string =>
  text
    .replaceAll(trustDomain, "<trust-domain>")
    .replaceAll(/Hash=[0-9a-f]{64}/g, "Hash=<sha256>")
    .replaceAll(/(Cert|Chain)="[^"]*"/g, `$1="<url-encoded-pem>"`)
    .replace(/^(date: ).*/i, "$1<date>")
    .replace(/^(x-envoy-upstream-service-time: )\d+/i, "$1<ms>")
    // Those that a client has made up for itself stay.
    .replaceAll(uuid, (id) => id.startsWith("11111111-") ? id : "<uuid>")
    .replaceAll(/127\.0\.0\.1:(\d{4,5})\b/g, (_, port) => `127.0.0.1:${ports.get(Number(port)) ?? "<port>"}`)

const cut = (text: string): string =>
  text.length > longest ? `${text.slice(0, 200)}<${text.length} characters in all>` : text

const times = new Map([["start_time", "<time>"], ["duration", "<ms>"], ["upstream_service_time", "<ms>"]])

/** A line of an access log: an object where it is JSON. */
export const logLine = (line: string, names: Names): Schema.Json => {
  const parsed = Schema.decodeOption(Schema.fromJsonString(Schema.JsonObject))(line)
  return parsed._tag === "None"
    ? value(line.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>"), names)
    : value(untimed(parsed.value), names)
}

const untimed = (record: Schema.JsonObject): Schema.JsonObject =>
  Object.fromEntries(
    Object.entries(record).map(([key, item]) => [
      key,
      item === null ? item : Json.isObject(item) ? untimed(item) : times.get(key) ?? item
    ])
  )

/** Names of instances of one service, and the values of cookies that lead to them. */
export const anyInstance = (json: string, service: string): string =>
  json.replaceAll(new RegExp(`${service}-\\w+`, "g"), "<any>").replaceAll(/lb=(\\"?)[0-9a-f]{8,}/g, "lb=$1<value>")
