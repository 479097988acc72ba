/**
 * What storing the entries of a part makes of the whole: an entry replaces the one of its kind and name, and all others stay as
 * they are. So a repository that holds a part of the policy is compared with all of it, its wildcards with everything they reach.
 */
import * as Names from "../Names.ts"
import type * as Policy from "../Policy.ts"

export interface Stored {
  readonly policy: Policy.Policy
  /** The entries of the whole that the part does not name: `service-intentions payments`. */
  readonly kept: ReadonlyArray<string>
}

export const store = (whole: Policy.Policy, part: Policy.Policy): Stored => {
  const named = new Set(part.entries.map(keyOf))
  const kept = whole.entries.filter((entry) => !named.has(keyOf(entry)))
  const isNamed = (kind: string, name: Names.Name) => named.has(keyOf({ kind, name }))
  const has = (kind: string) => part.entries.some((entry) => entry.kind === kind)
  return {
    policy: {
      ...whole,
      intentions: [
        ...part.intentions,
        ...whole.intentions.filter((intention) =>
          !isNamed("service-intentions", {
            service: intention.DestinationName,
            namespace: intention.DestinationNS || "default",
            partition: intention.DestinationPartition || "default"
          })
        )
      ],
      services: [
        ...part.services,
        ...whole.services.map((service) =>
          isNamed("service-defaults", service) ? { ...service, protocol: undefined } : service
        )
      ],
      defaultProtocol: has("proxy-defaults") ? part.defaultProtocol : whole.defaultProtocol,
      normalization: has("mesh") ? part.normalization : whole.normalization,
      entries: [...part.entries, ...kept],
      basis: { ...whole.basis, missing: [...new Set([...whole.basis.missing, ...part.basis.missing])] }
    },
    kept: kept.map(({ kind, name }) => `${kind} ${Names.display(name)}`)
  }
}

const keyOf = ({ kind, name }: Policy.Entry): string => `${kind} ${Names.fold(Names.display(name))}`
