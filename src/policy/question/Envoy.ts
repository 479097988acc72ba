/**
 * Where the rules that Consul writes for Envoy answer otherwise than precedence does. Consul subtracts a narrower source from
 * a wider one only when the narrower ranks higher. Where the wider source ranks higher, because its destination is more exact
 * (`* → api` above `web → *`), both rules act: under default deny the caller is let in if either allows, under default allow
 * kept out if either denies. (`agent/xds/rbac.go`, `removeSourcePrecedence`.)
 */
import { Result } from "effect"
import type * as Decision from "../../intention/Decision.ts"
import type * as Intention from "../../intention/Intention.ts"
import * as Source from "../../intention/Source.ts"
import * as Analysis from "../space/Analysis.ts"
import type * as Callers from "../Callers.ts"
import * as Diagram from "../space/Diagram.ts"
import type * as Mesh from "../Mesh.ts"
import type * as Names from "../Names.ts"

export interface Deviation {
  /** The intention that decides. */
  readonly rule: Decision.Rule
  /** The one that acts too. */
  readonly also: Decision.Rule
  /** A request that is treated differently; absent where all are. */
  readonly witness: Analysis.Witness | undefined
}

export const deviation = (mesh: Mesh.Mesh, destination: Names.Name, caller: Callers.Caller): Deviation | undefined => {
  const ruling = mesh.ruling(caller, destination)
  if (ruling.rule === undefined) return undefined
  const { http, intentions } = mesh.authorizer(destination)
  const defaultAllows = mesh.policy.defaultPolicy === "allow"
  const about = intentions.filter((intention) => covers(intention, caller))
  const acting = about.filter((intention, i) =>
    !about.slice(0, i).some((earlier) => sameSource(earlier, intention) || isNarrower(earlier, intention))
  )
  for (const intention of acting) {
    const also = Source.rule(intention)
    if (intention === ruling.rule.intention || also.action !== (defaultAllows ? "deny" : "allow")) continue
    const second: Analysis.Ruling = http && intention.JWT !== undefined
      ? { _tag: "ByRequest", rule: also, defaultPolicy: mesh.policy.defaultPolicy }
      : { _tag: "Always", rule: also, outcome: Analysis.outcome(!defaultAllows, "intention") }
    const differs = Analysis.analyse(
      [ruling, second],
      [],
      mesh.settings,
      ({ builder, diagram, witnesses }) =>
        witnesses(Diagram.combine(
          builder,
          diagram(ruling),
          diagram(second),
          (strict, other) => strict.allowed === defaultAllows && other.allowed !== defaultAllows
        )).get(true)
    )
    if (Result.isSuccess(differs) && differs.success !== undefined) {
      const always = ruling._tag === "Always" && second._tag === "Always"
      return { rule: ruling.rule, also, witness: always ? undefined : differs.success }
    }
  }
  return undefined
}

const covers = (intention: Intention.Intention, { id, peer }: Callers.Caller): boolean =>
  !intention.SourceSamenessGroup &&
  intention.SourcePeer === peer &&
  (peer !== undefined || (intention.SourcePartition || "default") === id.partition) &&
  (intention.SourceNS === "*" || intention.SourceNS === id.namespace) &&
  (intention.SourceName === "*" || intention.SourceName === id.service)

const sameSource = (a: Intention.Intention, b: Intention.Intention): boolean =>
  a.SourceNS === b.SourceNS && a.SourceName === b.SourceName

/** Both are about one caller, so that fewer wildcards make the narrower source. */
const isNarrower = (a: Intention.Intention, b: Intention.Intention): boolean => wildcards(a) < wildcards(b)

const wildcards = ({ SourceName, SourceNS }: Intention.Intention): number =>
  (SourceName === "*" ? 1 : 0) + (SourceNS === "*" ? 1 : 0)
