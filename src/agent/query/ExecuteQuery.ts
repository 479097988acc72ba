/** Which instances a prepared query finds (`agent/consul/prepared_query_endpoint.go`). `Near` is not looked at. */
import type * as Health from "../../consul/Health.ts"
import type * as PreparedQuery from "../../consul/PreparedQuery.ts"

export const matches = ({ Checks, Node, Service }: Health.ServiceEntry, query: PreparedQuery.ServiceQuery): boolean =>
  Checks.every(({ CheckID, Status }) =>
    query.IgnoreCheckIDs.includes(CheckID) ||
    Status === "passing" || (Status === "warning" && !query.OnlyPassing)
  ) &&
  query.Tags.every((wanted) => {
    const unwanted = wanted.startsWith("!")
    const tag = (unwanted ? wanted.slice(1) : wanted).toLowerCase()
    return Service.Tags.some((own) => own.toLowerCase() === tag) !== unwanted
  }) &&
  includes(Node.Meta, query.NodeMeta) && includes(Service.Meta, query.ServiceMeta)

const includes = (meta: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([key, value]) => meta[key] === value)
