/** The intentions that the service-intentions entries say, as the API lists them. */
import { Schema } from "effect"
import type { ServiceIntentions } from "../consul/config/ServiceIntentions.ts"
import * as Intention from "../intention/Intention.ts"
import * as EntrySet from "./chain/EntrySet.ts"
import { ServiceIntentions as Entry } from "../consul/config/ServiceIntentions.ts"

/** All of them, in the order in which they decide. */
export const list = (entries: EntrySet.EntrySet): ReadonlyArray<Intention.Intention> =>
  EntrySet.ofKind(entries, "service-intentions").flatMap(ofEntry).sort(Intention.compare)

/** Those about a destination, or about a source, the ones for every service included. */
export const match = (
  entries: EntrySet.EntrySet,
  by: "source" | "destination",
  name: string
): ReadonlyArray<Intention.Intention> => {
  const wanted = name.toLowerCase()
  return list(entries).filter((intention) => {
    // Names of sources are those of local services.
    if (by === "source" && intention.SourcePeer !== undefined) return false
    const actual = by === "source" ? intention.SourceName : intention.DestinationName
    return actual === "*" || actual.toLowerCase() === wanted
  })
}

export const exact = (
  entries: EntrySet.EntrySet,
  source: string,
  destination: string,
  peer: string
): Intention.Intention | undefined =>
  EntrySet.ofKind(entries, "service-intentions").filter(({ Name }) => Name === destination).flatMap(ofEntry).find((
    { SourceName, SourcePeer }
  ) => SourceName === source && (SourcePeer ?? "") === peer)

export const byId = (entries: EntrySet.EntrySet, id: string): Intention.Intention | undefined =>
  list(entries).find(({ ID }) => ID === id)

/** Entries are replaced, never changed; every change of one wakes all readers that wait for any. */
const known = new WeakMap<ServiceIntentions, ReadonlyArray<Intention.Intention>>()

const ofEntry = (entry: ServiceIntentions): ReadonlyArray<Intention.Intention> => {
  const made = known.get(entry) ?? decode(entry)
  known.set(entry, made)
  return made
}

/** Through the wire, as the entry and the intention spell permissions the same there. */
const decode = (entry: ServiceIntentions): ReadonlyArray<Intention.Intention> => {
  const encoded = Schema.encodeSync(Entry)(entry)
  return (encoded.Sources ?? []).map((source) =>
    Schema.decodeSync(Intention.Intention)({
      ID: source.LegacyID,
      Description: source.Description,
      SourceNS: "default",
      SourceName: source.Name,
      SourcePeer: source.Peer,
      DestinationNS: "default",
      DestinationName: entry.Name,
      SourceType: source.Type,
      Action: source.Action,
      Permissions: source.Permissions,
      JWT: encoded.JWT,
      Meta: source.LegacyID === undefined ? encoded.Meta : source.LegacyMeta,
      Precedence: source.Precedence,
      CreatedAt: source.LegacyCreateTime,
      UpdatedAt: source.LegacyUpdateTime,
      CreateIndex: entry.CreateIndex,
      ModifyIndex: entry.ModifyIndex
    })
  )
}
