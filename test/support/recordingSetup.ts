/** What had been written to the agent before each recording began, as far as the answers tell. */
import type { Schema } from "effect"

export interface Step {
  readonly path: string
  /** Default: `PUT` with a body, `GET` without. */
  readonly method?: "POST"
  /** Absent: a read. */
  readonly body?: Schema.JsonObject
}

const entry = (Kind: string, Name: string, rest: Schema.JsonObject): Step => ({
  path: "/v1/config",
  body: { Kind, Name, ...rest }
})
const service = (body: Schema.JsonObject): Step => ({ path: "/v1/agent/service/register", body })
const http = (name: string) => entry("service-defaults", name, { Protocol: "http" })
const sidecars = [
  service({ Name: "web", Port: 9090, Connect: { SidecarService: {} } }),
  service({
    Name: "client",
    Port: 9000,
    Connect: { SidecarService: { Proxy: { Upstreams: [{ DestinationName: "web", LocalBindPort: 9191 }] } } }
  })
]
const subset = (version: string) => ({ Filter: `Service.Meta.version == ${version}` })

export const setups: { readonly [recording: string]: ReadonlyArray<Step> } = {
  registration: sidecars,
  // The leaf had been asked for before.
  ca: [...sidecars, { path: "/v1/agent/connect/ca/leaf/web" }],
  errors: [],
  "prepared-query": [
    service({
      Name: "web",
      ID: "web-1",
      Port: 9090,
      Tags: ["v1"],
      Meta: { version: "v1" },
      Connect: {
        SidecarService: {
          Checks: [{ Name: "listening", TTL: "1h", Status: "passing" }],
          Proxy: {
            Config: { bind_port: 20000, protocol: "http" },
            Upstreams: [{ DestinationName: "db", LocalBindPort: 9191, Config: { connect_timeout_ms: 1000 } }]
          }
        }
      }
    }),
    {
      path: "/v1/query",
      method: "POST",
      body: { Name: "nearest-web", Service: { Service: "web", OnlyPassing: true, Connect: true } }
    }
  ],
  // The destination of an intention with permissions has to speak HTTP.
  intentions: [http("api"), http("bad2"), http("bad3"), http("bad4")],
  "chain-default": [],
  "chain-resolver-subsets": [
    http("web"),
    entry("service-resolver", "web", {
      ConnectTimeout: "3s",
      DefaultSubset: "v1",
      Subsets: { v1: { ...subset("v1"), OnlyPassing: true }, v2: subset("v2") }
    })
  ],
  "chain-failover-redirect": [
    ...["web", "backup", "old", "remote"].map(http),
    entry("service-resolver", "web", {
      Subsets: { v1: {} },
      Failover: { "*": { Service: "backup" }, v1: { Datacenters: ["dc2", "dc3"] } }
    }),
    entry("service-resolver", "old", { Redirect: { Service: "web", ServiceSubset: "v1" } }),
    entry("service-resolver", "remote", { Redirect: { Service: "web", Datacenter: "dc2" } })
  ],
  "chain-load-balancer": [
    http("web"),
    http("maglev"),
    entry("service-resolver", "web", {
      LoadBalancer: {
        Policy: "ring_hash",
        RingHashConfig: { MinimumRingSize: 1024, MaximumRingSize: 8192 },
        HashPolicies: [
          { Field: "header", FieldValue: "x-user", Terminal: true },
          { Field: "cookie", FieldValue: "sid", CookieConfig: { TTL: "1h", Path: "/" } },
          { SourceIP: true }
        ]
      }
    }),
    entry("service-resolver", "maglev", {
      LoadBalancer: { Policy: "least_request", LeastRequestConfig: { ChoiceCount: 4 } }
    })
  ],
  "chain-splitter": [
    http("web"),
    http("canary"),
    entry("service-resolver", "web", { Subsets: { v1: subset("v1"), v2: subset("v2") } }),
    entry("service-splitter", "canary", {
      Splits: [{ Weight: 50 }, { Weight: 50, Service: "web", ServiceSubset: "v2" }]
    }),
    entry("service-splitter", "web", {
      Splits: [{ Weight: 90, ServiceSubset: "v1" }, { Weight: 10, Service: "canary" }]
    })
  ],
  "chain-router": [
    http("web"),
    http("admin"),
    entry("service-resolver", "web", { Subsets: { v1: subset("v1") } }),
    entry("service-router", "web", {
      Routes: [
        { Match: { HTTP: { PathExact: "/exact" } }, Destination: { Service: "admin", PrefixRewrite: "/" } },
        {
          Match: { HTTP: { PathPrefix: "/admin/" } },
          Destination: {
            Service: "admin",
            PrefixRewrite: "/",
            RequestTimeout: "15s",
            NumRetries: 5,
            RetryOnConnectFailure: true,
            RetryOnStatusCodes: [503, 504]
          }
        },
        {
          Match: {
            HTTP: {
              PathRegex: "/re/[0-9]+",
              Header: [
                { Name: "x-debug", Exact: "1" },
                { Name: "x-p", Present: true, Invert: true },
                { Name: "x-pre", Prefix: "a" },
                { Name: "x-suf", Suffix: "z" },
                { Name: "x-re", Regex: "^a.*" }
              ],
              QueryParam: [{ Name: "q", Exact: "1" }, { Name: "p", Present: true }, { Name: "r", Regex: "[a-z]+" }],
              Methods: ["GET", "PUT"]
            }
          },
          Destination: { ServiceSubset: "v1" }
        }
      ]
    })
  ]
}
