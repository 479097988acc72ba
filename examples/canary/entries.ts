/** What an operator writes (`consul config write`) to release v2 of `api` to a tenth of the requests, and to testers. */
export const entries = [
  { Kind: "service-defaults", Name: "api", Protocol: "http" },
  { Kind: "service-defaults", Name: "api-standby", Protocol: "http" },
  {
    Kind: "service-resolver",
    Name: "api",
    Subsets: { v1: { Filter: "Service.Meta.version == 1" }, v2: { Filter: "Service.Meta.version == 2" } },
    Failover: { "*": { Service: "api-standby" } }
  },
  {
    Kind: "service-splitter",
    Name: "api",
    Splits: [{ Weight: 90, ServiceSubset: "v1" }, { Weight: 10, ServiceSubset: "v2" }]
  },
  {
    Kind: "service-router",
    Name: "api",
    Routes: [
      {
        Match: { HTTP: { Header: [{ Name: "x-tester", Exact: "1" }] } },
        Destination: { ServiceSubset: "v2" }
      },
      { Destination: { NumRetries: 2, RetryOnStatusCodes: [503] } }
    ]
  },
  { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] },
  { Kind: "service-intentions", Name: "api-standby", Sources: [{ Name: "web", Action: "allow" }] }
]
