/**
 * What the admin interface answers. Stable: fields are added, and neither renamed nor taken away. Times are texts of ISO 8601,
 * durations seconds, and what is not known is null.
 */
import { Schema } from "effect"

const count = Schema.Int
const known = Schema.NullOr

/** What an intention says. */
const action = Schema.Literals(["allow", "deny", "permissions"])

/** Of a sidecar, in every list of them. */
const sidecar = {
  /** How it was asked for. */
  name: Schema.String,
  /** The ID of its registration. */
  proxy: Schema.String,
  service: Schema.String
}

const each = <const Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Struct({ sidecars: Schema.Array(Schema.Struct({ ...sidecar, ...fields })) })

/** It has to start, or cannot serve: why. Empty: it is ready. */
export const Problems = Schema.Array(Schema.String)

export const Readiness = Schema.Struct({
  ready: Schema.Boolean,
  sidecars: Schema.Array(Schema.Struct({ name: Schema.String, ready: Schema.Boolean, problems: Problems }))
})
export type Readiness = typeof Readiness.Type

export const Liveness = Schema.Struct({ live: Schema.Literal(true), uptimeSeconds: Schema.Finite })

export const Certificate = Schema.Struct({
  subject: Schema.String,
  serial: Schema.String,
  notBefore: Schema.String,
  notAfter: Schema.String,
  /** Below zero: it has expired. */
  secondsLeft: Schema.Finite,
  key: Schema.String
})
export type Certificate = typeof Certificate.Type

export const Root = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  /** New leaves are signed by it. */
  active: Schema.Boolean,
  certificate: Certificate
})

export const Certificates = each({
  /** A SPIFFE id. Null, as what follows: a gateway that opens no TLS has none. */
  identity: known(Schema.String),
  trustDomain: known(Schema.String),
  leaf: known(Certificate),
  roots: Schema.Array(Root)
})

/** Whom a rule refused, how often. */
export const Refusal = Schema.Struct({
  source: Schema.String,
  destination: Schema.String,
  /** `web → api (precedence 9)`, or `default policy`. */
  rule: Schema.String,
  refusals: count,
  /** Of them, those that audit mode let through. */
  audited: count
})

export const Intentions = each({
  protocol: Schema.String,
  /** Whether requests are judged. Otherwise connections are. */
  byRequest: Schema.Boolean,
  defaultPolicy: Schema.Literals(["allow", "deny"]),
  /** Nothing is enforced: refusals are only recorded. */
  audited: Schema.Boolean,
  /** In the order in which they decide. */
  intentions: Schema.Array(Schema.Struct({
    source: Schema.String,
    destination: Schema.String,
    precedence: count,
    action,
    /** As the agent has it. */
    intention: Schema.Json
  })),
  /** What was not understood, and lets nobody in therefore. */
  warnings: Schema.Array(Schema.String),
  refusals: Schema.Array(Refusal)
})

export const Connection = Schema.Struct({
  direction: Schema.Literals(["inbound", "outbound"]),
  listener: Schema.String,
  /** `address:port` of the side that connected. Empty: it came over a Unix socket. */
  remote: Schema.String,
  /** The SPIFFE id of the other side in the mesh. */
  peer: known(Schema.String),
  /** The address of the instance that it leads to, where it is one for the whole connection. */
  to: known(Schema.String),
  /** Why a caller was let in. */
  because: known(Schema.String),
  openedAt: Schema.String,
  seconds: Schema.Finite,
  /** Bytes into the mesh. */
  sent: count,
  /** Bytes from the mesh. */
  received: count
})

export const Connections = each({
  open: count,
  /** As many as were asked for. */
  connections: Schema.Array(Connection)
})

export const Instance = Schema.Struct({
  id: Schema.String,
  address: Schema.String,
  service: Schema.String,
  healthy: Schema.Boolean,
  /** Why it is not called. */
  unhealthy: known(Schema.String),
  weight: count,
  /** Left out for a while, as calls to it fail. */
  ejected: Schema.Boolean,
  /** Calls that it is busy with. */
  active: count
})

export const Target = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  datacenter: Schema.String,
  filter: Schema.String,
  /** Null: the list has not arrived. */
  instances: known(Schema.Array(Instance))
})

const listener = {
  /** `public`, `upstream` and its id, or `exposed` and its path. */
  listener: Schema.String,
  address: Schema.String,
  state: Schema.Literals(["Starting", "Listening", "Failed", "Draining"]),
  /** Of one that has failed. */
  message: known(Schema.String)
}

export const Upstream = Schema.Struct({
  ...listener,
  service: Schema.String,
  protocol: Schema.String,
  open: count,
  accepted: count,
  failed: count,
  sent: count,
  received: count,
  /** In order of preference. Null: it is not known yet where calls go. */
  targets: known(Schema.Array(Target))
})

export const Upstreams = each({ upstreams: Schema.Array(Upstream) })

export const Route = Schema.Struct({
  /** From 1. */
  route: count,
  /** A service-router says it. Otherwise it is the route of everything else. */
  written: Schema.Boolean,
  conditions: Schema.Array(Schema.String),
  requestTimeoutMillis: known(Schema.Finite),
  idleTimeoutMillis: known(Schema.Finite),
  retries: known(Schema.Struct({ times: count, on: Schema.Array(Schema.String) })),
  legs: Schema.Array(Schema.Struct({
    /** At most 1. */
    share: Schema.Finite,
    /** In order of preference. */
    targets: Schema.Array(Schema.String)
  }))
})

export const Routes = each({
  upstreams: Schema.Array(Schema.Struct({
    listener: Schema.String,
    service: Schema.String,
    protocol: Schema.String,
    /** Null: connections are routed, not requests. */
    routes: known(Schema.Array(Route)),
    /** Of connections, in order of preference. */
    targets: Schema.Array(Schema.String)
  }))
})

export const Watch = Schema.Struct({
  /** `the CA roots` */
  what: Schema.String,
  watch: Schema.String,
  subject: Schema.String,
  /** Whether the last attempt was answered. */
  current: Schema.Boolean,
  answeredAt: known(Schema.String),
  secondsSinceAnswer: known(Schema.Finite),
  /** Since the last answer. */
  failures: count,
  lastError: known(Schema.String)
})
export type Watch = typeof Watch.Type

/** A process that shares the work with others. */
export const Worker = Schema.Struct({
  worker: count,
  /** Null: it is not there now. */
  pid: known(count),
  state: Schema.Literals(["Starting", "Running", "Waiting", "Left"]),
  /** How often it was started again. */
  restarts: count
})

/** Those of a process: sidecars share them. */
export const Watches = Schema.Struct({ watches: Schema.Array(Watch) })

/** A setting of the process. */
export const Setting = Schema.Struct({
  /** Of the flag, without dashes. */
  name: Schema.String,
  /** Null: it is not set. A secret is only said to be there. */
  value: known(Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Array(Schema.String)])),
  /** `flag`, the name of a variable, a file, or `default`. */
  from: Schema.String
})
export type Setting = typeof Setting.Type

export const Configuration = Schema.Struct({
  version: Schema.String,
  node: Schema.String,
  pid: count,
  startedAt: Schema.String,
  /** The agent that is asked. */
  agent: Schema.String,
  settings: Schema.Array(Setting),
  /** Absent: there are none, and the process does it all. */
  workers: Schema.optionalKey(Schema.Array(Worker)),
  sidecars: Schema.Array(Schema.Struct({
    ...sidecar,
    /** The service that the registration has moved to. While it has, nothing is open. */
    movedTo: known(Schema.String),
    /** What the agent says, with every default. */
    registration: Schema.Json,
    /** What was registered and means nothing here. */
    ignored: Schema.Array(Schema.String)
  }))
})

/** From the least to the most that is written. */
export const LogLevel = Schema.Literals(["none", "fatal", "error", "warn", "info", "debug", "trace"])
export type LogLevel = typeof LogLevel.Type

/** `leaving`: callers are told, and served on. `draining`: nothing new, what is open goes on. */
const phase = Schema.Literals(["serving", "leaving", "draining", "gone"])

/** Of HTTP requests, since the process started. */
export const Requests = Schema.Struct({
  total: count,
  /** Answered by 5xx, or by nothing. */
  failed: count,
  /** By status, or by a word where there was none: see `mesh_http_requests_total`. */
  codes: Schema.Record(Schema.String, count),
  /** How many took at most so many seconds. */
  durations: Schema.Array(Schema.Tuple([Schema.Finite, count]))
})
export type Requests = typeof Requests.Type

/** Of connections, since the process started, except `open`. */
const traffic = { open: count, accepted: count, sent: count, received: count }

export const Caller = Schema.Struct({
  service: Schema.String,
  ...traffic,
  requests: known(Requests),
  refusals: Schema.Array(Refusal)
})
export type Caller = typeof Caller.Type

export const UpstreamSummary = Schema.Struct({
  ...listener,
  service: Schema.String,
  protocol: Schema.String,
  ...traffic,
  /** Connections of the application that reached nobody. */
  failed: count,
  requests: known(Requests),
  /** Null: they are not known yet. */
  instances: known(Schema.Struct({ total: count, healthy: count, ejected: count }))
})
export type UpstreamSummary = typeof UpstreamSummary.Type

export const Summary = Schema.Struct({
  ...sidecar,
  /** Null: a gateway that opens no TLS has none. */
  identity: known(Schema.String),
  protocol: Schema.String,
  /** Where the application listens. Null: a gateway has none. */
  application: known(Schema.String),
  /** Where callers connect. Null: nobody may. */
  listen: known(Schema.String),
  phase,
  /** Nothing is enforced: refusals are only recorded. */
  audited: Schema.Boolean,
  /** Null: a gateway that opens no TLS has none. */
  leaf: known(Certificate),
  /** The one that signs. */
  root: known(Certificate),
  inbound: Schema.Struct({
    ...traffic,
    /** Ended by a change of policy. */
    cut: count,
    /** The application was not reached. */
    failed: count,
    /** Handshakes that were refused, by reason: see `mesh_refusals_total`. */
    refused: Schema.Record(Schema.String, count)
  }),
  callers: Schema.Array(Caller),
  upstreams: Schema.Array(UpstreamSummary)
})
export type Summary = typeof Summary.Type

/** A process at one moment: what the dashboard shows. */
export const Snapshot = Schema.Struct({
  /** In milliseconds since 1970. */
  at: Schema.Finite,
  version: Schema.String,
  agent: Schema.String,
  uptimeSeconds: Schema.Finite,
  logLevel: LogLevel,
  sidecars: Readiness.fields.sidecars,
  /** The one that was asked for, or the first that runs. */
  sidecar: known(Summary),
  watches: Schema.Array(Watch)
})
export type Snapshot = typeof Snapshot.Type

/** From a service to another one. */
export const Edge = Schema.Struct({
  source: Schema.String,
  destination: Schema.String,
  /** `requests`: each is judged by permissions. Null: it is decided elsewhere. */
  verdict: known(Schema.Literals(["allow", "deny", "requests"])),
  because: known(Schema.String),
  /** The intention that decides. Null: the default policy does. */
  rule: known(Schema.Struct({ source: Schema.String, destination: Schema.String, precedence: count, action })),
  /** The source has a local port that leads there. */
  upstream: Schema.Boolean,
  ...traffic,
  requests: known(Requests),
  refusals: Schema.Array(Refusal)
})
export type Edge = typeof Edge.Type

/** The services of a process, and those that they know. */
export const Graph = Schema.Struct({
  /** In milliseconds since 1970. */
  at: Schema.Finite,
  version: Schema.String,
  agent: Schema.String,
  /** Whether `PUT /intentions` is there. */
  changeable: Schema.Boolean,
  services: Schema.Array(Schema.Struct({
    name: Schema.String,
    /** Its sidecar in this process. Null: it has none. */
    sidecar: known(Schema.String),
    ready: known(Schema.Boolean),
    protocol: known(Schema.String),
    /** Connections of callers. */
    open: count,
    /** Of them, those that a change of policy has ended. */
    cut: count
  })),
  edges: Schema.Array(Edge)
})
export type Graph = typeof Graph.Type

export const Changed = Schema.Struct({
  source: Schema.String,
  destination: Schema.String,
  action: Schema.Literals(["allow", "deny", "remove"])
})

export const Logging = Schema.Struct({ level: LogLevel })

export const Leaving = each({ phase })

export const Reauthorization = each({
  /** Connections that were judged. */
  judged: count,
  /** Of them, those that may not stay, and were cut. */
  cut: count
})

export const Renewal = each({
  /** Serial numbers. Null: it has no leaf. */
  before: known(Schema.String),
  after: known(Schema.String),
  renewed: Schema.Boolean,
  /** Of the leaf in force. */
  notAfter: known(Schema.String),
  /** Why there is no new one. */
  why: known(Schema.String)
})

/** What is wrong, and where to go instead. */
export const Refused = Schema.Struct({ error: Schema.String, paths: Schema.optionalKey(Schema.Array(Schema.String)) })
