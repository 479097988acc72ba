/**
 * Generators biased to a policy: they use its names, path literals and their neighbours, header values, and words of its
 * expressions, so that a thousand samples reach every rule. What they draw from is ordered by simplicity and drawn by position,
 * so that shrinking ends at the smallest name and the shortest path that still fail.
 */
import { Arbitrary, Schema } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Intention from "../intention/Intention.ts"
import type * as Analysis from "../policy/space/Analysis.ts"
import * as Callers from "../policy/Callers.ts"
import * as Domains from "../policy/language/Domains.ts"
import * as Mesh from "../policy/Mesh.ts"
import * as Policy from "../policy/Policy.ts"
import * as Samples from "./Samples.ts"

/** One of a list, the first ones preferred when shrinking. */
export const oneOf = <A>(list: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(position(list.length), (at) => list[at]!)

const position = (length: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Math.max(0, length - 1) })))

/** A call of a service, as a law sees it. Plain and short, because it is what a failing test prints. */
export interface Call {
  /** The caller's class: `web`, `any other service`, `peer:east/web`. */
  readonly from: string
  readonly to: string
  readonly request: Analysis.Witness
}

/** Callers by name, smallest first; `any other service` comes last. */
export const callers = (policy: Policy.Policy): ReadonlyArray<Callers.Caller> =>
  Callers.classes([policy]).toSorted((a, b) => Number(a.other) - Number(b.other) || Samples.compare(a.label, b.label))

export const destinations = (policy: Policy.Policy): ReadonlyArray<Policy.Destination> =>
  Policy.destinations([policy])
    .toSorted((a, b) => Number(a.other) - Number(b.other) || Samples.compare(a.label, b.label))

/** SPIFFE ids of every kind of caller that the policy can tell apart. */
export const identities = (policy: Policy.Policy): Arbitrary.Arbitrary<SpiffeId.Service> =>
  Arbitrary.map(oneOf(callers(policy)), (caller) => caller.id)

/** Methods, paths and headers mixed from what the policy mentions. */
export const requests = (policy: Policy.Policy): Arbitrary.Arbitrary<Analysis.Witness> => {
  const samples = Samples.make(policy)
  const header = Arbitrary.map(
    Arbitrary.schema(Schema.Struct({ name: Schema.Int, value: Schema.Int })),
    ({ name, value }): ReadonlyArray<readonly [string, string]> => {
      if (samples.headers.length === 0) return []
      const { name: found, values } = wrap(samples.headers, name)
      return [[found, wrap(values, value)]]
    }
  )
  return Arbitrary.map(
    Arbitrary.all({
      method: oneOf(samples.methods),
      path: oneOf(samples.paths),
      headers: Arbitrary.array(header, { maxLength: 4 })
    }),
    ({ headers, method, path }) => ({ method, path, headers: headers.flat(), tokens: [] })
  )
}

const wrap = <A>(list: ReadonlyArray<A>, at: number): A => list[Math.abs(at) % list.length]!

/**
 * Calls among these callers and destinations. Half of the requests are smallest ones for some outcome of the rule that decides
 * about the caller, so that every permission is met; the others are mixtures.
 */
export const calls = (
  policy: Policy.Policy,
  from: ReadonlyArray<Callers.Caller> = callers(policy),
  to: ReadonlyArray<Policy.Destination> = destinations(policy),
  mesh: Mesh.Mesh = Mesh.make(policy)
): Arbitrary.Arbitrary<Call> =>
  Arbitrary.map(
    Arbitrary.all({
      from: position(from.length),
      to: position(to.length),
      exemplary: Arbitrary.schema(Schema.Boolean),
      at: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 63 }))),
      mixed: requests(policy)
    }),
    (draw): Call => {
      const caller = from[draw.from]!
      const destination = to[draw.to]!
      const answer = mesh.answer(caller, destination)
      const witnesses = answer._tag === "Decided" ? [...answer.outcomes.values()] : []
      return {
        from: caller.label,
        to: destination.label,
        request: !draw.exemplary && witnesses.length > 0 ? wrap(witnesses, draw.at) : draw.mixed
      }
    }
  )

/** Permissions that use what the policy's own ones use. */
export const permissions = (policy: Policy.Policy): Arbitrary.Arbitrary<Intention.Permission> => {
  const samples = Samples.make(policy)
  const names = samples.headers.length === 0 ? [{ name: "x-any", values: ["", "a"] }] : samples.headers
  const text = (bytes: string) => Buffer.from(bytes, "latin1").toString("utf8")
  return Arbitrary.map(
    Arbitrary.all({
      action: oneOf(["allow", "deny"]),
      kind: oneOf(["PathPrefix", "PathExact", "PathRegex", "none"] as const),
      path: oneOf(samples.paths.filter((path) => !path.includes("?"))),
      expression: oneOf(["/.*", ...samples.expressions]),
      methods: Arbitrary.array(oneOf(Domains.methods), { maxLength: 2 }),
      header: oneOf([undefined, ...names]),
      matcher: oneOf(["Present", "Exact", "Prefix", "Suffix", "Contains"] as const),
      at: position(64),
      invert: Arbitrary.schema(Schema.Boolean)
    }),
    ({ action, at, expression, header, invert, kind, matcher, methods, path }): Intention.Permission => {
      const value = header === undefined ? "" : text(wrap(header.values, at)) || "a"
      const Header = header === undefined ? {} : {
        Header: [{
          Name: header.name,
          [matcher]: matcher === "Present" ? true : value,
          ...(invert ? { Invert: true } : {})
        }]
      }
      const conditions = { ...Header, ...(methods.length === 0 ? {} : { Methods: [...new Set(methods)] }) }
      // One condition there must be.
      const shown = kind === "none" && Object.keys(conditions).length === 0 ? "PathPrefix" : kind
      return {
        Action: action,
        HTTP: {
          ...(shown === "none" ? {} : { [shown]: shown === "PathRegex" ? expression : text(path) }),
          ...conditions
        }
      }
    }
  )
}

/** Intentions between the policy's services, and services that it does not name, that Consul would store. */
export const intentions = (policy: Policy.Policy): Arbitrary.Arbitrary<Intention.Intention> => {
  const sources = [
    "*",
    ...callers(policy).filter((caller) => caller.peer === undefined).map((caller) => caller.id.service)
  ]
  const targets = ["*", ...destinations(policy).map((destination) => destination.service)]
  return Arbitrary.map(
    Arbitrary.all({
      source: oneOf([...new Set(sources)]),
      destination: oneOf([...new Set(targets)]),
      action: oneOf(["allow", "deny"] as const),
      permissions: Arbitrary.array(permissions(policy), { maxLength: 4 })
    }),
    ({ action, destination, permissions, source }) =>
      Intention.make(source, destination, destination === "*" || permissions.length === 0 ? action : permissions)
  )
}
