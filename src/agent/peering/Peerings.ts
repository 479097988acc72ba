/**
 * The peerings of one cluster: what it shows to others, and what they show to it. Each side follows the other, as long as the line
 * between them is open, and keeps what it heard last.
 *
 * Both clusters are in this process: a token is good for no other.
 */
import { Effect, Equal, FiberMap, Result, Schema, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as ApiError from "../../consul/ApiError.ts"
import type * as Health from "../../consul/Health.ts"
import * as PeeringApi from "../../consul/PeeringApi.ts"
import * as Replication from "../federation/Replication.ts"
import type * as Wan from "../federation/Wan.ts"
import type * as Store from "../Store.ts"
import * as Exports from "./Exports.ts"

/** A cluster that takes part. */
export interface Cluster extends Exports.Cluster {
  readonly peerings: Peerings
}

/** The clusters of a process, and the tokens that they have given out. */
export interface Network {
  readonly wan: Wan.Wan
  readonly offers: Map<string, { readonly cluster: Cluster; readonly name: string }>
}

export const network = (wan: Wan.Wan): Network => ({ wan, offers: new Map() })

export interface Peerings {
  readonly topics: ReadonlyArray<Store.Topic>
  readonly list: () => ReadonlyArray<PeeringApi.Peering>
  readonly get: (name: string) => PeeringApi.Peering | undefined
  /** What a peer exports to us. */
  readonly imported: (name: string) => ReadonlyArray<Health.ServiceEntry>
  readonly generateToken: (request: typeof PeeringApi.TokenRequest.Type) => Result.Result<string, Refusal>
  readonly establish: (request: typeof PeeringApi.EstablishRequest.Type) => Effect.Effect<void, Refusal>
  readonly remove: (name: string) => Effect.Effect<void>
  /** For the other side of an establishment. */
  readonly accept: (name: string, from: Cluster, as: string) => Effect.Effect<void>
  /** The other side has gone. */
  readonly terminate: (name: string) => Effect.Effect<void>
}

type Refusal = ApiError.BadRequest | ApiError.InternalError

interface Held {
  readonly peering: PeeringApi.Peering
  /** The other side, and what it calls this one. */
  readonly other?: { readonly cluster: Cluster; readonly as: string }
  readonly imported: ReadonlyArray<Health.ServiceEntry>
}

const topics: ReadonlyArray<Store.Topic> = ["peering"]

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly network: Network
  /** The cluster itself, once it is made. */
  readonly self: () => Cluster
}): Effect.fn.Return<Peerings, never, Scope.Scope> {
  const { network, self, store } = options
  const held = new Map<string, Held>()
  const following = yield* FiberMap.make<string>()

  const put = (name: string, change: Partial<PeeringApi.Peering>, rest: Partial<Omit<Held, "peering">> = {}) =>
    store.commit((index) => {
      const before = held.get(name)
      const peering = PeeringApi.Peering.make({
        ID: randomUUID(),
        Name: name,
        State: "PENDING",
        CreateIndex: index,
        ...before?.peering,
        ...change,
        ModifyIndex: index
      })
      held.set(name, { imported: [], ...before, ...rest, peering })
      return [undefined, topics]
    })

  /** Learns from the other side, from now on. */
  const follow = (name: string, other: Cluster, as: string) =>
    FiberMap.run(
      following,
      name,
      Replication.loop({
        from: other.store,
        topics: Exports.topics,
        crossing: network.wan.crossing(self().settings.datacenter, other.settings.datacenter),
        copy: Effect.sync(() => {
          const known = held.get(name)
          const imported = Exports.entries(other, as, name)
          const pems = other.roots.list().Roots.map(({ RootCert }) => RootCert)
          if (Equal.equals(known?.imported, imported) && Equal.equals(known?.peering.PeerCAPems, pems)) return
          put(name, { PeerCAPems: pems }, { imported })
        })
      }),
      { startImmediately: true }
    )

  const begin = (
    name: string,
    other: Cluster,
    as: string,
    change: Partial<PeeringApi.Peering> = {}
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      put(name, {
        ...change,
        State: "ACTIVE",
        Remote: { Partition: "", Datacenter: other.settings.datacenter }
      }, { other: { cluster: other, as } })
      return Effect.asVoid(follow(name, other, as))
    })

  /** With what is exchanged now. */
  const shown = ({ imported, peering }: Held): PeeringApi.Peering => ({
    ...peering,
    StreamStatus: {
      ...peering.StreamStatus,
      ImportedServices: [...new Set(imported.flatMap(({ Service }) => Service.Kind === "" ? [Service.Service] : []))],
      ExportedServices: peering.State === "ACTIVE" ? Exports.services(self(), peering.Name) : []
    }
  })

  return {
    topics,
    list: () => [...held.values()].map(shown).toSorted((a, b) => a.Name < b.Name ? -1 : 1),
    get: (name) => {
      const found = held.get(name)
      return found === undefined ? undefined : shown(found)
    },
    imported: (name) => held.get(name)?.imported ?? [],
    generateToken: ({ Meta, PeerName = "" }) => {
      if (PeerName === "") {
        return Result.fail(
          new ApiError.BadRequest({
            body: "PeerName is required in the payload when generating a new peering token."
          })
        )
      }
      put(PeerName, Meta === undefined ? {} : { Meta })
      const { roots, settings } = self()
      const secret = randomUUID()
      network.offers.set(secret, { cluster: self(), name: PeerName })
      const token = {
        CA: roots.list().Roots.map(({ RootCert }) => RootCert),
        ManualServerAddresses: null,
        ServerAddresses: ["127.0.0.1:8503"],
        ServerName: `server.${settings.datacenter}.peering.${roots.trustDomain}`,
        PeerID: held.get(PeerName)?.peering.ID ?? "",
        EstablishmentSecret: secret,
        Remote: { Partition: "", Datacenter: settings.datacenter }
      }
      return Result.succeed(Buffer.from(JSON.stringify(token)).toString("base64"))
    },
    establish: Effect.fnUntraced(function*({ Meta, PeerName = "", PeeringToken = "" }) {
      if (PeerName === "" || PeeringToken === "") {
        return yield* new ApiError.BadRequest({
          body: `${
            PeerName === "" ? "PeerName" : "PeeringToken"
          } is required in the payload when establishing a peering.`
        })
      }
      const token = yield* Effect.mapError(
        Effect.fromResult(decodeToken(PeeringToken)),
        (why) => new ApiError.InternalError({ body: `rpc error: code = Unknown desc = failed to decode token: ${why}` })
      )
      const offer = network.offers.get(token.EstablishmentSecret)
      if (offer === undefined) {
        return yield* new ApiError.InternalError({
          body:
            "rpc error: code = PermissionDenied desc = invalid peering establishment secret: it was used before, or " +
            "is of another process, with which development agents have no peerings"
        })
      }
      const { cluster, name } = offer
      if (cluster === self()) {
        return yield* new ApiError.BadRequest({ body: "cannot create a peering within the same cluster" })
      }
      network.offers.delete(token.EstablishmentSecret)
      yield* begin(PeerName, cluster, name, {
        PeerID: token.PeerID,
        PeerServerName: token.ServerName,
        PeerServerAddresses: token.ServerAddresses,
        ...(Meta !== undefined && { Meta })
      })
      yield* cluster.peerings.accept(name, self(), PeerName)
    }),
    accept: (name, from, as) => begin(name, from, as),
    remove: Effect.fnUntraced(function*(name) {
      const other = held.get(name)?.other
      if (!held.delete(name)) return
      yield* FiberMap.remove(following, name)
      store.commit(() => [undefined, topics])
      if (other !== undefined) yield* other.cluster.peerings.terminate(other.as)
    }),
    terminate: Effect.fnUntraced(function*(name) {
      if (!held.has(name)) return
      yield* FiberMap.remove(following, name)
      put(name, { State: "TERMINATED", PeerCAPems: [] }, { imported: [] })
    })
  }
})

const Token = Schema.fromJsonString(Schema.Struct({
  ServerAddresses: Schema.Array(Schema.String),
  ServerName: Schema.String,
  PeerID: Schema.String,
  EstablishmentSecret: Schema.String
}))

const decodeToken = (text: string): Result.Result<typeof Token.Type, string> =>
  /[^A-Za-z0-9+/=]/.test(text) || text.length % 4 !== 0
    ? Result.fail("illegal base64 data at input byte 0")
    : Result.mapError(
      Schema.decodeResult(Token)(Buffer.from(text, "base64").toString()),
      () => "invalid character looking for beginning of value"
    )
