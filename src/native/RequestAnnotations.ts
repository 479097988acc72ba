/** What the log says of a request wherever a line is written while it is handled. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { inspect } from "node:util"
import { Context, Fiber, type References } from "effect"
import { HttpServerRequest } from "effect/http"
import * as AdmittedExchange from "../inbound/http/AdmittedExchange.ts"
import * as LogKeys from "../observe/LogKeys.ts"

/**
 * The annotations of lines that are written while a request is handled: `inherited`, and the caller. They are looked up when
 * a line is written, by the fiber that writes it, so that a request costs nothing for lines that it does not write.
 */
export const of = (inherited: Annotations): Annotations =>
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
  key: keyof ReturnType<typeof LogKeys.peer>
): string | undefined => {
  const request = fiber === undefined
    ? undefined
    : Context.getOrUndefined(fiber.context, HttpServerRequest.HttpServerRequest)
  const exchange = request === undefined
    ? undefined
    : AdmittedExchange.of(NodeHttpServerRequest.toIncomingMessage(request))
  return exchange === undefined ? undefined : LogKeys.peer(exchange.connection)[key]
}
