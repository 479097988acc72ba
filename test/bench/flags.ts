/** What stands behind the names of benchmarks on their command line. */
import { parseArgs } from "node:util"

export interface Flags {
  /** Names of benchmarks. */
  readonly names: ReadonlyArray<string>
  /** Where the figures go, for programs. */
  readonly json: string | undefined
  /** Texts that a load must have in its name; none: all loads. A benchmark can so be run in pieces. */
  readonly load: ReadonlyArray<string>
  /** Those to compare; none: all that are found. */
  readonly peer: ReadonlyArray<string>
  readonly rounds: number | undefined
  readonly quick: boolean
  readonly short: boolean
  readonly profile: boolean
}

export const none: Flags = {
  names: [],
  json: undefined,
  load: [],
  peer: [],
  rounds: undefined,
  quick: false,
  short: false,
  profile: false
}

export const parse = (args: ReadonlyArray<string>): Flags => {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "string" },
      load: { type: "string", multiple: true },
      peer: { type: "string", multiple: true },
      rounds: { type: "string" },
      quick: { type: "boolean" },
      short: { type: "boolean" },
      profile: { type: "boolean" }
    }
  })
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error(`--rounds ${values.rounds} is no number of rounds`)
  }
  return {
    names: positionals,
    json: values.json,
    load: values.load ?? [],
    peer: values.peer ?? [],
    rounds,
    quick: values.quick === true,
    short: values.short === true,
    profile: values.profile === true
  }
}

/** Of these, by their names, the ones that `--load` asks for. */
export const chosen = <A extends { readonly what: string }>(all: ReadonlyArray<A>, { load }: Flags): ReadonlyArray<A> =>
  load.length === 0 ? all : all.filter(({ what }) => load.some((text) => what.includes(text)))
