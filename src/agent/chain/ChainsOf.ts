/** The discovery chains that a set of config entries amounts to, without a running agent. */
import { Result, type Schema } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as DecodeEntry from "../config/DecodeEntry.ts"
import * as Store from "../Store.ts"
import * as CompileChain from "./CompileChain.ts"

/** The chain of a service, which need not be named by any entry. Fails in a real agent's words. */
export type ChainsOf = (service: string) => Result.Result<DiscoveryChain.Chain, string>

/**
 * Fails with what an agent says of the entries that it would not take, in whatever order they are written. `trustDomain` is part
 * of the names of targets.
 */
export const make = (
  entries: ReadonlyArray<Schema.JsonObject>,
  { datacenter = "dc1", trustDomain = "mesh.consul" } = {}
): Result.Result<ChainsOf, string> => {
  const config = ConfigEntries.make({ store: Store.make(), datacenter })
  const write = (entry: Schema.JsonObject): Result.Result<boolean, string> =>
    Result.flatMap(
      Result.mapError(DecodeEntry.decode(JSON.stringify(entry)), ({ body }) => body),
      (entry) => config.write(entry)
    )
  // Entries are checked against those that they name, which may come later.
  let left = entries
  while (left.length > 0) {
    const refused = left.flatMap((entry) => {
      const written = write(entry)
      return Result.isFailure(written) ? [{ entry, why: written.failure }] : []
    })
    if (refused.length === left.length) {
      return Result.fail(
        refused.map(({ entry, why }) => `${String(entry["Kind"])} ${String(entry["Name"] ?? "")}: ${why}`).join("\n")
      )
    }
    left = refused.map(({ entry }) => entry)
  }
  return Result.succeed((service) => CompileChain.compile({ service, datacenter, trustDomain, entries: config.all() }))
}
