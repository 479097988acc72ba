/**
 * The part of Envoy's v3 API that Consul configures proxies with, in the JSON form that Envoy itself prints: names with
 * underscores, durations as `"5s"`, wrapped numbers as numbers, an `Any` as an object with `@type`.
 *
 * A field is written `"<number> [repeated |map ]<type>[ in <oneof>]"`; an enum is an object of numbers. What is not in
 * here is *unknown*: `Encode` refuses to write it, and `Decode` names it when it comes.
 */
import { cluster } from "./ClusterMessages.ts"
import { consul } from "./ConsulMessages.ts"
import { core } from "./CoreMessages.ts"
import { discovery } from "./DiscoveryMessages.ts"
import { http } from "./HttpMessages.ts"
import { listener } from "./ListenerMessages.ts"
import type { packages } from "./Packages.ts"
import { policy } from "./PolicyMessages.ts"
import { route } from "./RouteMessages.ts"
import { tls } from "./TlsMessages.ts"

export const definitions = {
  ...discovery,
  ...core,
  ...listener,
  ...route,
  ...cluster,
  ...tls,
  ...http,
  ...policy,
  ...consul
} as const

type Definitions = typeof definitions

/** The short name of a message or an enum, such as `core.Address`. */
export type Name = keyof Definitions

/** The name of a message as it stands in `@type`. */
export type FullName<N extends Name> = N extends `${infer P extends keyof typeof packages}.${infer M}`
  ? `${(typeof packages)[P]}.${M}`
  : never

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

export interface JsonObject {
  readonly [key: string]: Json
}

/** A message inside of an `Any`. */
export interface AnyMessage {
  readonly "@type": string
  readonly [key: string]: unknown
}

/** 64 bits are text when they are read, and may be numbers when they are written. */
interface Leaves {
  readonly string: string
  readonly bytes: string
  readonly bool: boolean
  readonly double: number
  readonly int32: number
  readonly uint32: number
  readonly int64: number | string
  readonly uint64: number | string
  readonly Any: AnyMessage
  readonly Duration: string
  readonly Struct: JsonObject
  readonly Value: Json
  readonly Empty: Readonly<Record<string, never>>
  readonly Timestamp: string
  readonly BoolValue: boolean
  readonly UInt32Value: number
  readonly UInt64Value: number | string
  readonly DoubleValue: number
  readonly StringValue: string
}

/** A message, or a value of an enum, by its short name. */
export type Message<N extends string> = N extends keyof Leaves ? Leaves[N]
  : N extends Name ?
    Definitions[N] extends Record<string, number> ? {} extends Definitions[N] ? Readonly<Record<string, never>>
      : keyof Definitions[N]
    : { readonly [F in keyof Definitions[N]]?: Field<Definitions[N][F]> | undefined }
  : never

type Field<D> = D extends `${number} ${infer Rest}` ? Rest extends `${infer T} in ${string}` ? Label<T> : Label<Rest>
  : never

type Label<T extends string> = T extends `repeated ${infer E}` ? ReadonlyArray<Message<E>>
  : T extends `map ${infer E}` ? { readonly [key: string]: Message<E> }
  : Message<T>
