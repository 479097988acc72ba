/**
 * The token that requests to Vault carry: given, or had by a login. It is renewed after two thirds of its life, and where
 * that is not possible any more, had anew.
 */
import { Duration, Effect, Redacted, Schedule, Schema, type Scope } from "effect"
import type * as Provider from "../Provider.ts"
import * as VaultApi from "./VaultApi.ts"
import type * as VaultSettings from "./VaultSettings.ts"

export interface VaultSession {
  /** For the next request. */
  readonly token: () => Redacted.Redacted<string>
}

/** A token's life; seconds. 0: it does not end. */
interface Lease {
  readonly seconds: number
  readonly renewable: boolean
}

const Auth = Schema.Struct({
  auth: Schema.Struct({
    client_token: Schema.String,
    lease_duration: Schema.Finite,
    renewable: Schema.Boolean
  })
})

const Self = Schema.Struct({
  data: Schema.Struct({ ttl: Schema.Finite, renewable: Schema.optionalKey(Schema.Boolean) })
})

const outlived = ({ seconds }: Lease): Effect.Effect<void> =>
  Effect.logWarning(
    `the token for Vault can not be renewed any more, and ends in ${Duration.format(Duration.seconds(seconds))}: no ` +
      "certificates are signed after that. Set the configuration of the CA with another token"
  )

/** How long Vault is left alone that did not renew a token. */
const again = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")]).pipe(Schedule.jittered)

export const make = Effect.fnUntraced(function*(
  api: VaultApi.VaultApi,
  { access, namespace }: VaultSettings.VaultSettings
): Effect.fn.Return<VaultSession, Provider.ProviderError, Scope.Scope> {
  let token = Redacted.make("")
  const take = ({ auth }: typeof Auth.Type): Lease => {
    token = Redacted.make(auth.client_token, { label: "Vault token" })
    return { seconds: auth.lease_duration, renewable: auth.renewable }
  }
  const self = (method: "GET" | "POST", path: string, body?: VaultApi.Request["body"]): VaultApi.Request => ({
    method,
    path: `auth/token/${path}`,
    namespace,
    token,
    body
  })
  const login = access._tag === "Token" ? undefined : Effect.map(
    api.json(Auth, {
      method: "POST",
      path: access.path,
      namespace,
      token: undefined,
      body: Redacted.value(access.body)
    }),
    take
  )
  const lookUp = Effect.suspend(() =>
    Effect.map(api.json(Self, self("GET", "lookup-self")), ({ data }): Lease => ({
      seconds: data.ttl,
      renewable: data.renewable === true
    }))
  )
  const renew = (seconds: number) =>
    Effect.suspend(() => Effect.map(api.json(Auth, self("POST", "renew-self", { increment: `${seconds}s` })), take))

  const keep = (first: Lease): Effect.Effect<void> =>
    Effect.gen(function*() {
      let lease = first
      while (lease.seconds > 0) {
        yield* Effect.sleep(Duration.seconds(lease.seconds * 2 / 3))
        // A maximum makes each renewal shorter than the one before.
        const ends = !lease.renewable || lease.seconds < first.seconds / 10
        const next = login === undefined
          ? renew(first.seconds)
          : ends
          ? login
          : Effect.catch(renew(first.seconds), () => login)
        lease = yield* next.pipe(
          Effect.tapError((error) => Effect.logError("the token for Vault is not renewed", error.message)),
          Effect.retry(again),
          Effect.orDie
        )
        if (login === undefined && lease.seconds < first.seconds / 10) return yield* outlived(lease)
      }
    })

  if (access._tag === "Token") token = access.token
  const lease = yield* Effect.mapError(login ?? lookUp, VaultApi.toProviderError)
  if (login === undefined && !lease.renewable) {
    if (lease.seconds > 0) yield* outlived(lease)
  } else yield* Effect.forkScoped(keep(lease))
  return { token: () => token }
})
