/** The way to the local application, which speaks plain TCP or listens on a unix socket. */
import { Effect, Schema } from "effect"
import * as Dial from "../net/Dial.ts"
import * as Listening from "../net/Listening.ts"
import type * as Splice from "../net/Splice.ts"
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
export const connect: Connect = ({ application, applicationConnectTimeoutMillis }) =>
  open(application, applicationConnectTimeoutMillis)

/** How it is reached. `version`: of HTTP, which it is going to be spoken to in; undefined: bytes are passed on. */
export type Connect = (settings: Settings, version?: "1.1" | "2") => Effect.Effect<Splice.Side, ApplicationUnreachable>

export type Settings = Pick<ProxyRegistration.Registration, "application" | "applicationConnectTimeoutMillis">

export const open = (
  address: ProxyRegistration.Address,
  timeoutMillis: number
): Effect.Effect<Splice.Side, ApplicationUnreachable> =>
  Effect.mapError(Dial.connect(address, timeoutMillis), (failure) => unreachable(address, failure))

export const unreachable = (address: ProxyRegistration.Address, failure: Dial.Failure): ApplicationUnreachable =>
  new ApplicationUnreachable({
    address: Listening.format(address),
    code: failure._tag === "Refused" ? failure.code : `no answer within ${failure.millis} ms`
  })
