/** Counts requests that do not reach the application, by reason, and logs them. */
import type { Context } from "effect"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import type * as AdmissionLog from "../AdmissionLog.ts"
import type * as Connection from "../Connection.ts"
import * as RequestAdmission from "./RequestAdmission.ts"

export type Record = (connection: Connection.Connection, refused: RequestAdmission.Refused) => void

/** `context` holds the registry of metrics. */
export const make = (
  { denied, fault, service }: Pick<AdmissionLog.AdmissionLog, "denied" | "fault" | "service">,
  context: Context.Context<never>
): Record =>
(connection, refused) => {
  const edge = { source: connection.caller.service, destination: service() }
  Meter.count(MetricCatalogue.requestRefusals, { ...edge, reason: RequestAdmission.reasonOf(refused) }, context).value++
  if (refused._tag === "Denied") denied(connection, refused.decision)
  else if (refused._tag === "Malformed") fault(connection, "refused a request", "malformed", refused.why)
}
