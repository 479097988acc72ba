/** Which format a file has: its extension says it, or its first words do. */
import * as Hcl from "./Hcl.ts"
import * as Json from "./Json.ts"
import type * as Node from "./Node.ts"
import * as Yaml from "./Yaml.ts"

export type Format = "json" | "hcl" | "yaml"

export const parse = (file: string, text: string): Node.Parsed => {
  const listed = of(file) === undefined ? tableOf(text) : undefined
  if (listed !== undefined) return { roots: [], mistakes: [{ offset: text.search(/\S/), message: listed }] }
  return parsers[of(file) ?? recognise(text)](text)
}

/** By the extension, in any letter case. */
export const of = (file: string): Format | undefined =>
  extensions.get(/\.[^./\\]*$/.exec(file)?.[0].toLowerCase() ?? "")

const extensions = new Map<string, Format>([[".json", "json"], [".hcl", "hcl"], [".yaml", "yaml"], [".yml", "yaml"]])

const parsers: { readonly [F in Format]: (text: string) => Node.Parsed } = {
  json: Json.parse,
  // Consul takes a file of this name that begins with a brace for JSON too.
  hcl: (text) => /^\s*\{/.test(text) ? Json.parse(text) : Hcl.parse(text),
  yaml: Yaml.parse
}

/** Of a file whose name says nothing, or of standard input. */
const recognise = (text: string): Format => {
  if (/^\s*(\[|\{(?!\{))/.test(text)) return "json"
  const line = text.split("\n").find((line) => line.trim() !== "" && !/^\s*(#|\/\/)/.test(line)) ?? ""
  return /^(---|%YAML|- |["']?[\w./-]+["']?\s*:(\s|$)|\s*\{\{)/.test(line) ? "yaml" : "hcl"
}

/** What Consul's command line prints for people, and nothing can be made of. */
const tableOf = (text: string): string | undefined => {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  return /^(ID\s+)?Source\s+Action\s+Destination\s+Precedence$/.test(lines[0] ?? "")
    ? "this table leaves permissions out; give what `GET /v1/connect/intentions` answers, or `consul config read`"
    : lines.length > 0 && lines.every((line) => /^([\w.*-]+|[\w.-]+\/[\w.*-]+)$/.test(line))
    ? "this is a list of names, as `consul config list` prints it; give what `consul config read -kind KIND -name NAME` " +
      "prints for each of them"
    : undefined
}
