/** What `effect-mesh check` has found out about one thing, and how it is told. Pure. */
import * as ConsulError from "../../consul/ConsulError.ts"

export interface Finding {
  /** `doubt`: it works, and may be worth a look. `unknown`: it could not be looked at. */
  readonly state: "good" | "doubt" | "broken" | "unknown"
  /** A sentence without its end. */
  readonly what: string
  readonly remedy?: string
}

/** Findings about one part, in the order in which later ones rest on earlier ones. */
export interface Section {
  readonly about: string
  readonly findings: ReadonlyArray<Finding>
}

export const good = (what: string): Finding => ({ state: "good", what })
export const doubt = (what: string, remedy: string): Finding => ({ state: "doubt", what, remedy })
export const broken = (what: string, remedy: string): Finding => ({ state: "broken", what, remedy })
export const unknown = (what: string): Finding => ({ state: "unknown", what })

/** A request has failed that needs `right`; empty: any token. `purpose` continues "cannot": `read the CA roots`. */
export const ofError = (purpose: string, right: string, { reason }: ConsulError.ConsulError): Finding => {
  switch (reason._tag) {
    case "PermissionDenied":
      return reason.body.includes("ACL not found")
        ? broken(`cannot ${purpose}: the agent does not know the token`, tokenRemedy)
        : broken(`cannot ${purpose}: the token may not`, right === "" ? tokenRemedy : `Give its policies ${right}`)
    case "Filtered":
      return broken(
        `cannot ${purpose} completely: the agent leaves out what the token may not read`,
        `Give it ${right}`
      )
    case "Unreachable":
      return broken(
        `the agent cannot be reached: ${reason.why}`,
        reason.remedy ?? "Start it, or name the right one with --http-addr or CONSUL_HTTP_ADDR"
      )
    case "TimedOut":
      return broken(
        `cannot ${purpose}: no answer within ${reason.waited}`,
        "Look at the agent's health, and at the network to it and from it to its servers"
      )
    default:
      return broken(
        `cannot ${purpose}: ${ConsulError.explain(reason)}`,
        "Look at the agent's log; if it is not an agent that answers, name one with --http-addr"
      )
  }
}

export const tokenRemedy = "Set a valid one: --token-file, CONSUL_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN"

export const count = (sections: ReadonlyArray<Section>, state: Finding["state"]): number =>
  sections.reduce((sum, { findings }) => sum + findings.filter((finding) => finding.state === state).length, 0)

const marks: Readonly<Record<Finding["state"], string>> = { good: "✓", doubt: "!", broken: "✗", unknown: "·" }

export const format = ({ about, findings }: Section): string =>
  [
    about,
    ...findings.flatMap(({ remedy, state, what }) => [
      `  ${marks[state]} ${what}`,
      ...(remedy === undefined ? [] : [`      → ${remedy}`])
    ])
  ].join("\n")

export const summary = (sections: ReadonlyArray<Section>): string => {
  const [broken, doubt, unknown] = [
    count(sections, "broken"),
    count(sections, "doubt"),
    count(sections, "unknown")
  ]
  const parts = [
    `${count(sections, "good")} in order`,
    ...(doubt > 0 ? [`${doubt} worth a look (!)`] : []),
    ...(broken > 0 ? [`${broken} broken (✗)`] : []),
    ...(unknown > 0 ? [`${unknown} not looked at (·)`] : [])
  ]
  return parts.join(", ")
}
