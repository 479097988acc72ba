/** Names of services, as people write them: `web`, `team/web`, `west/team/web`; with `peer:east/` before a peer's. */

export interface Place {
  readonly namespace: string
  readonly partition: string
}

export interface Name extends Place {
  readonly service: string
}

/** Absent parts are `default`. */
export const parse = (text: string): Name => {
  const parts = text.split("/")
  return {
    service: parts.at(-1)!,
    namespace: parts.at(-2) || "default",
    partition: parts.at(-3) || "default"
  }
}

/** Shortest text that `parse` reads back. */
export const display = ({ namespace, partition, service }: Name): string =>
  partition !== "default"
    ? `${partition}/${namespace}/${service}`
    : namespace !== "default"
    ? `${namespace}/${service}`
    : service

/** ` in team`, or nothing for the default place. */
export const inPlace = ({ namespace, partition }: Place): string =>
  partition !== "default" ? ` in ${partition}/${namespace}` : namespace !== "default" ? ` in ${namespace}` : ""

/** Destinations are found without regard to letter case; see `Source.isFor`. */
export const fold = (name: string): string => name.toLowerCase()

export const same = (a: Name, b: Name): boolean => fold(display(a)) === fold(display(b))

/** A name that is not taken, in lower case. */
export const fresh = (wish: string, taken: ReadonlySet<string>): string => {
  let name = wish
  for (let i = 2; taken.has(name); i++) name = `${wish}-${i}`
  return name
}

/** For sentences: the first of many, and how many more there are. */
export const few = (names: ReadonlyArray<string>): string =>
  names.length <= 4 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`
