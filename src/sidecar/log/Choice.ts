/** What whoever starts a sidecar wants of its access log, besides what its registration says. Pure. */
import * as AccessLog from "../../observe/AccessLog.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import type * as AccessLogs from "../../watch/registration/AccessLogs.ts"

export interface Choice {
  /** Wins over the registration. `off`: there is no access log. */
  readonly to?: AccessLogs.AccessLogs["to"] | "off" | undefined
  /** Wins over the registration. Has to be one that does not fail. */
  readonly format?: AccessLogs.AccessLogs["format"] | undefined
  /** The share of what went well that has lines, from 0 to 1. What was refused, or has failed, always has. Default: 1. */
  readonly sample?: number | undefined
}

/** Where nothing says what lines look like, they name the service: a process may have several. */
export const apply = (
  { format, to }: Choice,
  registered: AccessLogs.AccessLogs | undefined,
  service: string
): AccessLogs.AccessLogs | undefined => {
  if (to === "off") return undefined
  if (registered !== undefined) return { ...registered, to: to ?? registered.to, format: format ?? registered.format }
  return to === undefined
    ? undefined
    : { to, format: format ?? { json: { service: literal(service), ...AccessLog.standard } }, listenerLogs: true }
}

/** `random` is from 0 to 1. */
export const isKept = ({ sample = 1 }: Choice, facts: Substitution.Facts, random: number): boolean =>
  random < sample || isNotable(facts)

/** Refused, failed, or ended before its time. */
const isNotable = ({ operator }: Substitution.Facts): boolean => {
  const flags = operator("RESPONSE_FLAGS")
  const code = Number(operator("RESPONSE_CODE") ?? 0)
  return (flags !== undefined && flags !== "-" && flags !== "") || code >= 500 || code === 401 || code === 403 ||
    operator("CONNECTION_TERMINATION_DETAILS") !== undefined
}

const literal = (text: string): string => text.replaceAll("%", "%%")
