/** Metrics of several workers in one text: each series has the worker that it is of, so that one that is started again counts from 0 by itself. */

export interface Said {
  /** Undefined: of the program as a whole. */
  readonly worker: number | undefined
  /** In the format of Prometheus or of OpenMetrics. */
  readonly text: string
}

/** What is said of a metric comes once, and its series after it, as both formats want it. */
export const merge = (all: ReadonlyArray<Said>): string => {
  const families = new Map<string, { readonly about: ReadonlyArray<string>; readonly samples: Array<string> }>()
  let isOpen = false
  for (const { text, worker } of all) {
    let about: Array<string> = []
    let name = ""
    for (const line of text.split("\n")) {
      if (line === "") continue
      if (line === "# EOF") isOpen = true
      else if (line.startsWith("#")) {
        const named = line.split(" ", 3)[2] ?? ""
        if (named !== name) about = []
        name = named
        about.push(line)
        if (!families.has(name)) families.set(name, { about, samples: [] })
      } else families.get(name)?.samples.push(labelled(line, worker))
    }
  }
  const lines = Array.from(families.values(), ({ about, samples }) => [...about, ...samples]).flat()
  return [...lines, ...(isOpen ? ["# EOF"] : []), ""].join("\n")
}

/** The name ends at the first brace, or the first space where there are no labels. What follows the value may have braces, too. */
const labelled = (line: string, worker: number | undefined): string => {
  if (worker === undefined) return line
  const end = line.search(/[{ ]/)
  const rest = line.slice(end)
  return `${line.slice(0, end)}{worker="${worker}"${
    rest.startsWith("{}") ? rest.slice(1) : rest.startsWith("{") ? `,${rest.slice(1)}` : `}${rest}`
  }`
}
