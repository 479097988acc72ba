/** The prepared queries of the agent: the only place that changes them. Refusals have a real agent's words. */
import { Option, Result } from "effect"
import { randomUUID } from "node:crypto"
import * as GoDuration from "../../consul/GoDuration.ts"
import type * as PreparedQuery from "../../consul/PreparedQuery.ts"
import type * as Store from "../Store.ts"
import * as RenderTemplate from "./RenderTemplate.ts"

export interface PreparedQueries {
  /** By id. */
  readonly list: () => ReadonlyArray<PreparedQuery.PreparedQuery>
  /** Fails where `id` is not as long as one. */
  readonly get: (id: string) => Result.Result<PreparedQuery.PreparedQuery | undefined, string>
  /** By id, by name whatever its case, or the template with the longest name that it starts with: rendered. */
  readonly find: (nameOrId: string) => PreparedQuery.PreparedQuery | undefined
  /** Succeeds with the id. */
  readonly create: (query: PreparedQuery.PreparedQuery) => Result.Result<string, string>
  readonly update: (id: string, query: PreparedQuery.PreparedQuery) => Result.Result<void, string>
  readonly remove: (id: string) => Result.Result<void, string>
}

export const topics: ReadonlyArray<Store.Topic> = ["queries"]

export const make = (store: Store.Store): PreparedQueries => {
  const queries = new Map<string, PreparedQuery.PreparedQuery>()

  const get: PreparedQueries["get"] = (id) =>
    id.length === 36
      ? Result.succeed(queries.get(id))
      : Result.fail("failed prepared query lookup: index error: UUID must be 36 characters")

  const existing = (id: string): Result.Result<PreparedQuery.PreparedQuery, string> =>
    Result.flatMap(
      Result.mapError(get(id), (why) => `Prepared Query lookup failed: ${why}`),
      (found) =>
        found === undefined
          ? Result.fail(`Cannot modify non-existent prepared query: '${id}'`)
          : Result.succeed(found)
    )

  const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()

  const put = (id: string, query: PreparedQuery.PreparedQuery): Result.Result<void, string> =>
    Result.gen(function*() {
      yield* Result.mapError(check(query), (why) => `Invalid prepared query: ${why}`)
      const applying = (why: string) => Result.fail(`raft apply failed: ${why}`)
      // There are no sessions here.
      if (query.Session !== "") return yield* applying(`invalid session ${JSON.stringify(query.Session)}`)
      const { Name, Template } = query
      const isTemplate = Template.Type !== ""
      for (const other of queries.values()) {
        if (other.ID === id || !same(other.Name, Name) || (other.Template.Type !== "") !== isTemplate) continue
        return yield* applying(`name '${Name}' aliases an existing query ${isTemplate ? "template " : ""}name`)
      }
      const invalid = isTemplate ? RenderTemplate.check(Template) : undefined
      if (invalid !== undefined) return yield* applying(`failed compiling template: ${invalid}`)
      store.commit((index) => {
        const CreateIndex = queries.get(id)?.CreateIndex ?? index
        queries.set(id, { ...query, ID: id, CreateIndex, ModifyIndex: index })
        return [undefined, topics]
      })
    })

  return {
    get,
    list: () => [...queries.values()].sort((a, b) => a.ID < b.ID ? -1 : 1),
    find: (nameOrId) => {
      const byId = queries.get(nameOrId)
      if (byId !== undefined) return byId.Template.Type === "" ? byId : undefined
      const all = [...queries.values()]
      const named = all.find(({ Name, Template }) => Template.Type === "" && same(Name, nameOrId))
      if (named !== undefined) return named
      const template = all
        .filter(({ Name, Template }) => Template.Type !== "" && nameOrId.toLowerCase().startsWith(Name.toLowerCase()))
        .sort((a, b) => b.Name.length - a.Name.length)[0]
      return template === undefined ? undefined : RenderTemplate.render(template, nameOrId)
    },
    create: (query) => {
      if (query.ID !== "") return Result.fail("ID must be empty when creating a new prepared query")
      const id = randomUUID()
      return Result.map(put(id, query), () => id)
    },
    update: (id, query) => Result.flatMap(existing(id), () => put(id, query)),
    remove: (id) =>
      Result.map(existing(id), () =>
        store.commit(() => {
          queries.delete(id)
          return [undefined, topics]
        }))
  }
}

const check = ({ DNS, Name, Service, Session, Template }: PreparedQuery.PreparedQuery): Result.Result<void, string> => {
  const { Datacenters, NearestN, Targets } = Service.Failover
  if (Name === "" && Template.Type === "" && Session === "") return Result.fail("Must be bound to a session")
  if (Service.Service === "") return Result.fail("Must provide a Service name to query")
  if (NearestN < 0) return Result.fail(`Bad NearestN '${NearestN}', must be >= 0`)
  if (Targets.length > 0 && (NearestN !== 0 || Datacenters.length > 0)) {
    return Result.fail("Targets cannot be populated with NearestN or Datacenters")
  }
  if (Service.SamenessGroup !== "") return Result.fail("sameness-groups are an enterprise-only feature")
  if (DNS.TTL !== "" && Option.isNone(GoDuration.parse(DNS.TTL))) {
    return Result.fail(`Bad DNS TTL '${DNS.TTL}': time: invalid duration ${JSON.stringify(DNS.TTL)}`)
  }
  return Result.succeed(undefined)
}
