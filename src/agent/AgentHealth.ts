/** How an instance fares, from its checks and those of the node. */
import type * as AgentService from "../consul/AgentService.ts"
import type * as Health from "../consul/Health.ts"
import * as CatalogStore from "./CatalogStore.ts"

export const of = (
  service: AgentService.AgentService,
  checks: ReadonlyMap<string, Health.Check>
): AgentService.AgentHealth => {
  const about = CatalogStore.byId(checks.values()).filter(({ ServiceID }) =>
    ServiceID === "" || ServiceID === service.ID
  )
  return {
    AggregatedStatus: worst(about.map(statusOf)),
    Service: service,
    Checks: about.map((check) => ({ ...check, CreateIndex: 0, ModifyIndex: 0 }))
  }
}

const order = ["maintenance", "critical", "warning", "passing"]

/** No checks are no complaint. */
export const worst = (statuses: ReadonlyArray<string>): string =>
  order.find((status) => statuses.includes(status)) ?? "passing"

const statusOf = ({ CheckID, Status }: Health.Check): string =>
  CheckID === "_node_maintenance" || CheckID.startsWith("_service_maintenance:") ? "maintenance" : Status
