/** The host part of every SPIFFE id of one mesh, without `spiffe://`: `<cluster uuid>.consul`. */
export type TrustDomain = string

/** Lower-case, as Consul derives it from the id of the cluster; its DNS domain plays no role. */
export const fromClusterId = (clusterId: string): TrustDomain => `${clusterId.toLowerCase()}.consul`
