/** The way to the local application, which speaks plain TCP or listens on a unix socket. */
import * as Net from "node:net"
import { Effect, Schema } from "effect"
import * as Listening from "../net/Listening.ts"
import * as Splice from "../net/Splice.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"

/** The application does not answer. Passes when it is up. */
export class ApplicationUnreachable extends Schema.TaggedError<ApplicationUnreachable>()("ApplicationUnreachable", {
  address: Schema.String,
  code: Schema.String
}) {
  override readonly message =
    `the application at ${this.address} did not accept a connection: ${this.code}. Is it running, on that address?`
}

/** Half-open, nothing read yet. Undone when interrupted; from then on whoever runs it has to close it. */
export const connect = (
  address: ProxyRegistration.Address,
  timeoutMillis: number
): Effect.Effect<Splice.Side, ApplicationUnreachable> =>
  Effect.callback<Splice.Side, ApplicationUnreachable>((resume) => {
    const fail = (code: string) => {
      clearTimeout(timer)
      socket.destroy()
      resume(Effect.fail(new ApplicationUnreachable({ address: Listening.format(address), code })))
    }
    const socket = Net.connect({
      ...("path" in address ? { path: address.path } : address),
      allowHalfOpen: true,
      noDelay: true
    })
    const timer = setTimeout(() => fail(`no answer within ${timeoutMillis} ms`), timeoutMillis)
    socket.on("error", (cause) => fail("code" in cause ? String(cause.code) : cause.message))
    socket.once("connect", () => {
      clearTimeout(timer)
      resume(Effect.succeed(Splice.plain(socket)))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      socket.destroy()
    })
  })
