/** Which services of ours which peers may call, as the entry `exported-services` says. */
import { Effect, Result, Schema, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as ConfigEntry from "../consul/ConfigEntry.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as Entry from "../consul/config/ExportedServices.ts"
import * as Watched from "./Watched.ts"

/** `service` in any letter case. */
export type IsExported = (service: string, peer: string) => boolean

/** One for each client. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<IsExported>, never, Scope.Scope> => {
  const name = "GET /v1/config/exported-services"
  return consul.share(
    name,
    Watched.make(
      { what: "the exported services", watch: "exports", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "many",
        request: (api, blocking) => api.config.list({ params: { kind: "exported-services" }, query: blocking }),
        decode
      })
    )
  )
}

const read = Schema.decodeUnknownResult(Schema.toCodecGoJson(Entry.ExportedServices))

/** Fails with a sentence. */
export const decode = (entries: ReadonlyArray<ConfigEntry.ConfigEntry>): Result.Result<IsExported, string> =>
  Result.all(entries.map((entry) => read(entry))).pipe(
    Result.mapError((error) => `the exported services can not be read: ${error.message}`),
    Result.map((all) => {
      const pairs = new Set(
        all.flatMap(({ Services }) =>
          Services.flatMap(({ Consumers, Name }) => Consumers.map(({ Peer }) => key(Name, Peer)))
        )
      )
      return (service, peer) => peer !== "" && (pairs.has(key(service, peer)) || pairs.has(key("*", peer)))
    })
  )

const key = (service: string, peer: string): string => JSON.stringify([service.toLowerCase(), peer.toLowerCase()])
