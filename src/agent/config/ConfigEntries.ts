/** The config entries of the agent: the only place that changes them. */
import { Equal, Result } from "effect"
import type { StoredEntry } from "../../consul/config/StoredEntry.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import type * as Store from "../Store.ts"
import * as CheckEntries from "./CheckEntries.ts"
import * as ValidateEntry from "./ValidateEntry.ts"

export interface ConfigEntries {
  readonly all: () => EntrySet.EntrySet
  readonly get: (kind: string, name: string) => StoredEntry | undefined
  /** By name. */
  readonly list: (kind: string) => ReadonlyArray<StoredEntry>
  /** False when the compare-and-set was lost. The same content again changes nothing. Fails with the refusal's text. */
  readonly write: (entry: StoredEntry, cas?: bigint) => Result.Result<boolean, string>
  readonly remove: (kind: string, name: string, cas?: bigint) => Result.Result<boolean, string>
  /** Takes over what another datacenter has, under indexes of its own. */
  readonly replicate: (from: EntrySet.EntrySet) => void
}

export const topics: ReadonlyArray<Store.Topic> = ["config"]

export const make = (options: { readonly store: Store.Store; readonly datacenter: string }): ConfigEntries => {
  let entries: EntrySet.EntrySet = new Map()
  const replace = (next: EntrySet.EntrySet) => {
    entries = next
  }

  return {
    all: () => entries,
    get: (kind, name) => entries.get(EntrySet.key(kind, name)),
    list: (kind) =>
      [...entries.values()].filter((entry) => entry.Kind === kind).sort((a, b) =>
        EntrySet.nameOf(a) < EntrySet.nameOf(b) ? -1 : 1
      ),
    write: (written, cas) =>
      Result.gen(function*() {
        const entry = yield* ValidateEntry.validate(withoutIndexes(written))
        const key = EntrySet.key(entry.Kind, EntrySet.nameOf(entry))
        const before = entries.get(key)
        // The same content is no change, even with a stale index.
        if (before !== undefined && Equal.equals(withoutIndexes(before), entry)) return true
        if (cas !== undefined && cas !== BigInt(before?.ModifyIndex ?? 0)) return false
        const after = new Map(entries).set(key, entry)
        yield* CheckEntries.check({ entry, operation: "write", after, datacenter: options.datacenter })
        return options.store.commit((index) => {
          after.set(key, { ...entry, CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index })
          replace(after)
          return [true, topicsOf([entry])]
        })
      }),
    remove: (kind, name, cas) =>
      Result.gen(function*() {
        const key = EntrySet.key(kind, name)
        const before = entries.get(key)
        if (before === undefined) return true
        if (cas !== undefined && cas !== BigInt(before.ModifyIndex)) return false
        const after = new Map(entries)
        after.delete(key)
        yield* CheckEntries.check({ entry: before, operation: "delete", after, datacenter: options.datacenter })
        return options.store.commit(() => {
          replace(after)
          return [true, topicsOf([before])]
        })
      }),
    replicate: (from) => {
      const isKnown = ([key, entry]: readonly [string, StoredEntry]) => {
        const before = entries.get(key)
        return before !== undefined && Equal.equals(withoutIndexes(before), withoutIndexes(entry))
      }
      if (from.size === entries.size && [...from].every(isKnown)) return
      options.store.commit((index) => {
        replace(
          new Map([...from].map(([key, entry]) => {
            const before = entries.get(key)
            return [
              key,
              before !== undefined && isKnown([key, entry])
                ? before
                : { ...entry, CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index }
            ]
          }))
        )
        return [undefined, topicsOf([...from.values()])]
      })
    }
  }
}

const topicsOf = (changed: ReadonlyArray<StoredEntry>): ReadonlyArray<Store.Topic> =>
  changed.some(({ Kind }) => Kind === "terminating-gateway") ? [...topics, "links"] : topics

/** What a writer sends along is not the server's. */
const withoutIndexes = (entry: StoredEntry): StoredEntry => ({ ...entry, CreateIndex: 0, ModifyIndex: 0 })
