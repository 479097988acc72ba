/**
 * What the host of a URL names, after Consul's DNS:
 *
 *     api                                             a service
 *     [<subset>.]<service>.service[.<scope>].consul   the word may also be `connect` or `virtual`
 *     <query>.query[.<scope>].consul                  a prepared query; its name may have dots
 *
 * The scope is a datacenter: `dc2`, `dc2.dc`, and with them `default.ns` and `default.ap`, in any order. The first of two
 * labels is a subset of the service-resolver, as in the ids of targets and in SNI; Consul's DNS has tags there, which are
 * nothing to the mesh. Scheme and port do not matter: the mesh has its own of both.
 */
import { Result } from "effect"

export type Name =
  | {
    readonly _tag: "Service"
    readonly service: string
    readonly subset?: string
    readonly datacenter?: string
  }
  | { readonly _tag: "Query"; readonly query: string; readonly datacenter?: string }

/** Of a host in lower case, without its port. Failures say what is wrong with it. */
export const parse = (host: string): Result.Result<Name, string> => {
  const labels = (host.length > 1 && host.endsWith(".") ? host.slice(0, -1) : host).split(".")
  if (labels.some((label) => !/^[a-z0-9_-]+$/i.test(label))) return Result.fail("it is no name of a service")
  if (labels.length === 1) return Result.succeed({ _tag: "Service", service: labels[0]! })
  const at = labels.findLastIndex((label) => kinds.has(label))
  if (labels.at(-1) !== "consul" || at < 1) return Result.fail(`${forms}. For other names there is the option resolve`)
  const names = labels.slice(0, at)
  if (names.at(-1)!.startsWith("_")) {
    return Result.fail(`it is a name for SRV records, which says no more than without: ${forms}`)
  }
  return Result.flatMap(parseScope(labels.slice(at + 1, -1)), (scope) => {
    if (labels[at] === "query") return Result.succeed<Name>({ _tag: "Query", query: names.join("."), ...scope })
    const [service, subset, ...more] = names.toReversed()
    return more.length > 0
      ? Result.fail(`there is one label before the service, its subset: ${forms}`)
      : Result.succeed<Name>({
        _tag: "Service",
        service: service!,
        ...(subset === undefined ? {} : { subset }),
        ...scope
      })
  })
}

const kinds = new Set(["service", "connect", "virtual", "query"])

const forms =
  "names are as in api, api.service.consul, v2.api.service.consul, api.service.dc2.consul or geo.query.consul"

type Scope = { readonly datacenter?: string }

const parseScope = (labels: ReadonlyArray<string>): Result.Result<Scope, string> => {
  const [first, second] = labels
  if (first === undefined) return Result.succeed({})
  if (second === undefined) return Result.succeed({ datacenter: first })
  // The namespace came before the datacenter once.
  if (labels.length === 2 && !words.has(second)) {
    return first === "default" ? Result.succeed({ datacenter: second }) : Result.fail(enterprise)
  }
  let datacenter: string | undefined
  const seen = new Set<string>()
  for (let i = 0; i < labels.length; i += 2) {
    const [name, word] = [labels[i]!, labels[i + 1]]
    if (word === "peer" || word === "sg") {
      return Result.fail("services of cluster peers and sameness groups are not supported")
    }
    if (word === undefined || !words.has(word) || seen.has(word)) return Result.fail(forms)
    seen.add(word)
    if (word === "dc") datacenter = name
    else if (name !== "default") return Result.fail(enterprise)
  }
  return Result.succeed(datacenter === undefined ? {} : { datacenter })
}

const words = new Set(["ns", "ap", "dc", "peer", "sg"])

const enterprise = "namespaces and partitions other than default are not supported"
