/**
 * Policies of Envoy's RBAC over a small alphabet, and a slow evaluator of them that reads like Envoy's documentation. A condition of a
 * kind that is not known holds or not as `unknown` says.
 */
import { Arbitrary, Schema } from "effect"
import type * as SpiffeId from "../../src/identity/SpiffeId.ts"
import type * as HttpRequest from "../../src/intention/HttpRequest.ts"

export const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

type Json = { readonly [key: string]: Schema.Json }

const literals = <const A extends ReadonlyArray<string>>(values: A) => Schema.Literals(values)

const Name = literals(["web", "api", "*"])
const Path = literals(["/a", "/a/b", "/"])
const Kind = literals(["exact", "prefix"])

const Condition = Schema.Struct({
  path: Schema.Struct({ kind: Kind, text: Path }),
  method: literals(["", "GET", "GET|POST"]),
  header: literals(["", "one", "present", "inverted"]),
  any: Schema.Boolean
})
type Condition = (typeof Condition)["Type"]

const Sketch = Schema.Struct({
  action: literals(["ALLOW", "DENY"]),
  policies: Schema.Array(Schema.Struct({
    sources: Schema.Array(Schema.Struct({ name: Name, nots: Schema.Array(Name) })),
    permissions: Schema.Array(Schema.Struct({ condition: Condition, nots: Schema.Array(Condition) })),
    strange: literals(["", "", "", "", "principal", "permission", "field"])
  }))
})
type Sketch = (typeof Sketch)["Type"]

const principal = (name: string): Json => ({
  authenticated: {
    principal_name: {
      safe_regex: {
        regex: `^spiffe://${trustDomain}/ns/default/dc/[^/]+/svc/${name === "*" ? "[^/]+" : name}$`
      }
    }
  }
})

const permission = ({ any, header, method, path }: Condition): Json => {
  if (any) return { any: true }
  const rules: ReadonlyArray<Json> = [
    { url_path: { path: { [path.kind]: path.text } } },
    ...(header === "" ? [] : [{
      header: {
        name: "x-a",
        ...(header === "one" ? { exact_match: "1" } : { present_match: true }),
        ...(header === "inverted" ? { invert_match: true } : {})
      }
    }]),
    ...(method === "" ? [] : [{ header: { name: ":method", safe_regex_match: { regex: method } } }])
  ]
  return rules.length === 1 ? rules[0]! : { and_rules: { rules } }
}

const sourceOf = ({ name, nots }: { readonly name: string; readonly nots: ReadonlyArray<string> }): Json =>
  nots.length === 0
    ? principal(name)
    : { and_ids: { ids: [principal(name), ...nots.map((not) => ({ not_id: principal(not) }))] } }

const permissionOf = (
  { condition, nots }: { readonly condition: Condition; readonly nots: ReadonlyArray<Condition> }
): Json =>
  nots.length === 0
    ? permission(condition)
    : { and_rules: { rules: [permission(condition), ...nots.map((not) => ({ not_rule: permission(not) }))] } }

const draw = ({ action, policies }: Sketch): Json => ({
  rules: {
    ...(action === "DENY" ? { action } : {}),
    policies: Object.fromEntries(policies.map(({ permissions, sources, strange }, i) => [`policy-${i}`, {
      principals: [...sources.map(sourceOf), ...(strange === "principal" ? [{ source_ip: {} }] : [])],
      permissions: [...permissions.map(permissionOf), ...(strange === "permission" ? [{ destination_port: 1 }] : [])],
      ...(strange === "field" ? { condition: {} } : {})
    }]))
  }
})

export const filters = Arbitrary.map(Arbitrary.schema(Sketch), draw)

/** Whether the filter lets the request through. */
export const lets = (
  filter: Json,
  caller: SpiffeId.Service,
  request: HttpRequest.HttpRequest
): boolean => {
  const rules = filter["rules"] as Json
  const denies = rules["action"] === "DENY"
  // What is not known is no reason to allow, and a reason to deny.
  const unknown = denies
  const matches = Object.values((rules["policies"] ?? {}) as Record<string, Json>).some((policy) => {
    const { condition, permissions, principals } = policy as unknown as {
      condition: unknown
      permissions: ReadonlyArray<Json>
      principals: ReadonlyArray<Json>
    }
    return (condition === undefined || unknown) && permissions.some((each) => holds(each, caller, request, unknown)) &&
      principals.some((each) => holds(each, caller, request, unknown))
  })
  return matches !== denies
}

/** Of one of the kinds of conditions below. */
interface Content {
  readonly rules: ReadonlyArray<Json>
  readonly ids: ReadonlyArray<Json>
  readonly principal_name: { readonly safe_regex: { readonly regex: string } }
  readonly path: { readonly exact?: string; readonly prefix: string }
  readonly name: string
  readonly present_match?: boolean
  readonly invert_match?: boolean
  readonly exact_match?: string
  readonly safe_regex_match: { readonly regex: string }
}

const holds = (
  rule: Json,
  caller: SpiffeId.Service,
  request: HttpRequest.HttpRequest,
  unknown: boolean
): boolean => {
  const [kind, value] = Object.entries(rule)[0] as unknown as [string, Content]
  const each = (list: ReadonlyArray<Json>) => list.map((inner) => holds(inner, caller, request, unknown))
  switch (kind) {
    case "any":
      return true
    case "and_rules":
      return each(value.rules).every(Boolean)
    case "and_ids":
      return each(value.ids).every(Boolean)
    case "not_rule":
    case "not_id":
      return !holds(value as unknown as Json, caller, request, !unknown)
    case "authenticated": {
      const uri = `spiffe://${caller.trustDomain}/ns/${caller.namespace}/dc/${caller.datacenter}/svc/${caller.service}`
      return new RegExp(value.principal_name.safe_regex.regex).test(uri)
    }
    case "url_path": {
      const path = request.path.split("?")[0]!
      return value.path.exact === undefined ? path.startsWith(value.path.prefix) : path === value.path.exact
    }
    case "header": {
      const found = value.name === ":method" ? request.method : request.header(value.name)
      if (value.present_match === true) return (found !== undefined) !== (value.invert_match === true)
      if (found === undefined) return false
      return value.exact_match === undefined
        ? new RegExp(`^(${value.safe_regex_match.regex})$`).test(found)
        : found === value.exact_match
    }
    default:
      return unknown
  }
}
