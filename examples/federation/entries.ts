/** What an operator writes in the primary datacenter, and holds in both: `api` of dc2 stands in for that of dc1. */
export const entries = [
  { Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" }, MeshGateway: { Mode: "local" } },
  { Kind: "service-resolver", Name: "api", Failover: { "*": { Datacenters: ["dc2"] } } },
  intentions("allow")
]

/** `shop` may call `api`, and `web` may as well or may not. */
export function intentions(web: "allow" | "deny") {
  return {
    Kind: "service-intentions",
    Name: "api",
    Sources: [{ Name: "web", Action: web }, { Name: "shop", Action: "allow" }]
  }
}
