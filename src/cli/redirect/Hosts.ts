/** Names of services in a hosts file, for applications that ask for `api.virtual.consul`. */
import { readFile, writeFile } from "node:fs/promises"
import { Effect, Schema } from "effect"

export interface Host {
  readonly service: string
  readonly address: string
}

/** The file is as it was. */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  file: Schema.String,
  why: Schema.String
}) {
  override readonly message = `cannot keep names in ${this.file}: ${this.why}`
}

const begin = "# effect-mesh: virtual addresses"
const end = "# effect-mesh: end"

/** The text of a hosts file with these names; with none, as if there had never been any. */
export const withNames = (text: string, hosts: ReadonlyArray<Host>): string => {
  const lines = text.split("\n")
  // The last one: where a part was cut off, what follows it may be somebody else's.
  const to = lines.lastIndexOf(end)
  const from = to === -1 ? -1 : lines.lastIndexOf(begin, to)
  const others = from === -1 ? lines : [...lines.slice(0, from), ...lines.slice(to + 1)]
  if (hosts.length === 0) return others.join("\n")
  const before = others.join("\n").replace(/\n*$/, "")
  return [
    ...(before === "" ? [] : [before]),
    begin,
    ...hosts.map(({ address, service }) => `${address} ${service}.virtual.consul`),
    end,
    ""
  ].join("\n")
}

/** In place, as containers mount this file: it can not be replaced. */
export const write = (file: string, hosts: ReadonlyArray<Host>): Effect.Effect<void, NotWritten> =>
  Effect.tryPromise({
    try: async () => {
      const text = await readFile(file, "utf8")
      const next = withNames(text, hosts)
      if (next !== text) await writeFile(file, next)
    },
    catch: (cause) => new NotWritten({ file, why: cause instanceof Error ? cause.message : String(cause) })
  })
