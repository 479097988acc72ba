/** One prepared query for many names: `${name.full}`, `${name.prefix}`, `${name.suffix}` and `${match(n)}` are filled in. */
import { RE2JS } from "re2js"
import type * as PreparedQuery from "../../consul/PreparedQuery.ts"

type Template = PreparedQuery.PreparedQuery["Template"]

/** What is wrong with it. Undefined: nothing. */
export const check = ({ Regexp, Type }: Template): string | undefined => {
  if (Type !== "name_prefix_match") return `Bad Template.Type '${Type}'`
  try {
    RE2JS.compile(Regexp)
    return undefined
  } catch (error) {
    return `Bad Regexp: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** For a name that starts with that of the template. */
export const render = (query: PreparedQuery.PreparedQuery, name: string): PreparedQuery.PreparedQuery => {
  const { Regexp, RemoveEmptyTags } = query.Template
  const matches = Regexp === "" ? [] : groups(Regexp, name)
  const values: Readonly<Record<string, string>> = {
    "name.full": name,
    "name.prefix": query.Name,
    "name.suffix": name.slice(query.Name.length)
  }
  const fill = (text: string): string =>
    text.replace(
      /\$\{\s*(?:(name\.(?:full|prefix|suffix))|match\(\s*(\d+)\s*\)|agent\.segment)\s*\}/g,
      (_, key, index) => key === undefined ? matches[Number(index)] ?? "" : values[key] ?? ""
    )
  const { Service } = query
  const tags = Service.Tags.map(fill)
  return {
    ...query,
    Service: {
      ...Service,
      Service: fill(Service.Service),
      Tags: RemoveEmptyTags ? tags.filter((tag) => tag !== "") : tags,
      Failover: { ...Service.Failover, Datacenters: Service.Failover.Datacenters.map(fill) }
    }
  }
}

const groups = (expression: string, name: string): ReadonlyArray<string> => {
  const matcher = RE2JS.compile(expression).matcher(name)
  return matcher.find()
    ? Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? "")
    : []
}
