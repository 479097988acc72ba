/** Counts what a gateway turns away, and logs it: the first of each kind, then one line a minute. */
import type { Socket } from "node:net"
import { Effect } from "effect"
import * as Listening from "../net/Listening.ts"
import * as LineLimit from "../observe/LineLimit.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as RefusalLines from "../observe/RefusalLines.ts"
import type * as DialError from "../outbound/DialError.ts"
import type * as ClientHello from "./ClientHello.ts"
import type * as MeshDirectory from "./MeshDirectory.ts"

/** Stable: the attribute `reason` of `mesh_gateway_refusals_total`. */
export type Reason =
  | ClientHello.Reason
  | MeshDirectory.Unknown
  | "not_tls"
  | "too_slow"
  | "cut_off"
  | "no_name"
  | "too_many"

export interface GatewayRefusals {
  /** `detail`: the name that was asked for, or what is wrong. */
  readonly refused: (socket: Socket, reason: Reason, detail?: string) => Effect.Effect<void>
  /** Where it leads there is nobody. That is counted elsewhere. */
  readonly unreachable: (error: DialError.DialError) => Effect.Effect<void>
  readonly counts: () => Readonly<Partial<Record<Reason, number>>>
}

/** `whose` is for the log. */
export const make = Effect.fnUntraced(function*(whose: string): Effect.fn.Return<GatewayRefusals> {
  const lines = LineLimit.make(yield* RefusalLines.RefusalLines)
  const context = yield* Effect.context<never>()
  const counts: Partial<Record<Reason, number>> = {}
  const warn = (kind: string, text: string, keys: Readonly<Record<string, string>>) => {
    const leftOut = lines.admit(kind, performance.now())
    return leftOut === undefined ? Effect.void : Effect.annotateLogs(
      Effect.logWarning(`${text}${LineLimit.suffix(leftOut)}`),
      keys
    )
  }
  return {
    counts: () => counts,
    refused: (socket, reason, detail) =>
      Effect.suspend(() => {
        counts[reason] = (counts[reason] ?? 0) + 1
        Meter.count(MetricCatalogue.gatewayRefusals, { reason }, context).value++
        const { remoteAddress, remotePort } = socket
        const remote = remoteAddress === undefined
          ? "a client that has left"
          : Listening.format({ host: remoteAddress, port: remotePort! })
        return warn(reason, `${whose}: refused ${remote}: ${explain(reason, detail)}`, {
          direction: "inbound",
          reason,
          remote
        })
      }),
    unreachable: ({ message, reason, service }) =>
      warn(`${service} ${reason._tag}`, `${whose}: ${message}`, {
        direction: "inbound",
        reason: reason._tag,
        destination: service
      })
  }
})

const explain = (reason: Reason, detail = ""): string => {
  switch (reason) {
    case "not_tls":
      return "it does not speak TLS, and only the mesh is let through"
    case "too_slow":
      return "it did not say in time where it wants to go"
    case "cut_off":
      return "it left before it had said where it wants to go"
    case "no_name":
      return "it does not say where it wants to go (no server name, SNI)"
    case "too_many":
      return "there are too many connections, or they come too fast, for the limits of its registration"
    case "other_trust_domain":
      return `${detail} is of another trust domain`
    case "unknown_name":
      return `${detail} is no name of a service in this mesh`
    case "unknown_datacenter":
      return `${detail}: that datacenter has no gateway that this one knows of`
    case "unknown_service":
      return `${detail}: there is no such service or subset in this datacenter`
    default:
      return `its ClientHello is refused: ${detail}`
  }
}
