/** The keys of log lines, which are stable: `docs/metrics.md`. Tools look for lines by them, people read the sentences. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { inspect } from "node:util"
import { Context, Fiber, type References } from "effect"
import { HttpServerRequest } from "effect/http"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as HttpExchange from "./HttpExchange.ts"
import type * as MeshListener from "./MeshListener.ts"

/** Who is on the other side, and where. */
export const peer = (
  { caller, remote }: Pick<MeshListener.Connection, "caller" | "remote">
): { readonly peer: string; readonly remote: string } => ({ peer: SpiffeId.format(caller), remote })

/**
 * The annotations of lines that are written while a request is handled: `inherited`, and the caller. They are looked up when
 * a line is written, by the fiber that writes it, so that a request costs nothing for lines that it does not write.
 */
export const ofRequests = (inherited: Annotations): Annotations =>
  Object.defineProperties({ ...inherited }, {
    peer: { enumerable: true, get: () => callerOf(Fiber.getCurrent(), "peer") },
    remote: { enumerable: true, get: () => callerOf(Fiber.getCurrent(), "remote") },
    // The console would show that there is something to be looked up, and not what.
    [inspect.custom]: {
      value(this: Annotations) {
        return { ...this }
      }
    }
  })

type Annotations = typeof References.CurrentLogAnnotations["Service"]

const callerOf = (
  fiber: Fiber.Fiber<unknown, unknown> | undefined,
  key: keyof ReturnType<typeof peer>
): string | undefined => {
  const request = fiber === undefined
    ? undefined
    : Context.getOrUndefined(fiber.context, HttpServerRequest.HttpServerRequest)
  const exchange = request === undefined
    ? undefined
    : HttpExchange.exchangeOf(NodeHttpServerRequest.toIncomingMessage(request))
  return exchange === undefined ? undefined : peer(exchange.connection)[key]
}
