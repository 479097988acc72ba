/** A made-up mesh of any size, the same for the same numbers: teams that call each other, a few gateways, a few secrets. */
import * as Intention from "../../src/intention/Intention.ts"
import * as Policy from "../../src/policy/Policy.ts"
import { random } from "./rules.ts"

const kinds = ["orders", "payments", "catalog", "search", "users", "mail", "billing", "stock", "audit", "reports"]

export const serviceNames = (count: number): ReadonlyArray<string> =>
  Array.from(
    { length: count },
    (_, i) => `${kinds[i % kinds.length]}-${String(Math.floor(i / kinds.length)).padStart(2, "0")}`
  )

const paths = ["/v1", "/v1/", "/v2/items", "/admin", "/health", "/internal/", "/v1/orders", "/v1/users/"]
const expressions = [
  "/v[0-9]+/items/[a-z0-9-]+",
  "/v1/(orders|users)(/.*)?",
  "(?i)/export/.*\\.csv",
  "/v1/[^/]+/public"
]

export const policy = (options: {
  readonly services: number
  readonly intentions: number
  readonly withPermissions: number
  readonly seed: number
}): Policy.Policy => {
  const next = random(options.seed)
  const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(next() * list.length)]!
  const names = serviceNames(options.services)
  const permission = (): Intention.Permission => ({
    Action: next() < 0.7 ? "allow" : "deny",
    HTTP: {
      ...(next() < 0.3
        ? { PathRegex: pick(expressions) }
        : next() < 0.3
        ? { PathExact: pick(paths) }
        : { PathPrefix: pick(paths) }),
      ...(next() < 0.5 ? { Methods: next() < 0.5 ? ["GET"] : ["POST", "PUT"] } : {}),
      ...(next() < 0.3
        ? {
          Header: [{
            Name: pick(["x-team", "x-role", "x-debug"]),
            [pick(["Exact", "Prefix", "Suffix", "Contains"] as const)]: pick(["red", "blue", "admin"]),
            ...(next() < 0.3 ? { Invert: true } : {})
          }]
        }
        : {})
    }
  })
  const intentions = new Map<string, Intention.Intention>()
  const add = (source: string, destination: string, rule: Parameters<typeof Intention.make>[2]) => {
    const key = `${source} ${destination}`
    if (!intentions.has(key)) intentions.set(key, Intention.make(source, destination, rule))
  }
  add("*", "*", "deny")
  names.filter((_, i) => i % 17 === 0).forEach((name) => add("*", name, "allow"))
  while (intentions.size < options.withPermissions + 20) {
    add(pick(names), pick(names), Array.from({ length: 2 + Math.floor(next() * 5) }, permission))
  }
  while (intentions.size < options.intentions) add(pick(names), pick(names), next() < 0.85 ? "allow" : "deny")
  return Policy.make({
    intentions: [...intentions.values()],
    defaultPolicy: "deny",
    services: names.map((service) => ({ service, protocol: "http" }))
  })
}
