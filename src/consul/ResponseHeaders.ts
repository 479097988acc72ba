/** The headers by which Consul says how fresh an answer is and how to wait for the next one. */
import { Schema } from "effect"

const optional = Schema.optionalKey

/** On every answer: the default policy of the ACL system. */
export const common = {
  "x-consul-default-acl-policy": optional(Schema.Literals(["allow", "deny"]))
}

/** On lists that the agent answers out of what it knows itself. */
export const local = { ...common, "x-consul-results-filtered-by-acls": optional(Schema.Boolean) }

/** On what servers answer. `x-consul-index` is the Raft index to wait on, a uint64. */
export const indexed = {
  ...local,
  "x-consul-index": optional(Schema.BigInt),
  "x-consul-knownleader": optional(Schema.Boolean),
  /** Milliseconds since the answering server heard from its leader. */
  "x-consul-lastcontact": optional(Schema.Finite),
  "x-consul-effective-consistency": optional(Schema.String),
  "x-consul-query-backend": optional(Schema.String),
  "x-cache": optional(Schema.String),
  /** Seconds since the cached answer was current. */
  age: optional(Schema.Finite)
}

/** On what the agent answers out of its cache, without an index. */
export const cached = { ...common, "x-cache": optional(Schema.String), age: optional(Schema.Finite) }

/** On what changes with its content hash. */
export const hashed = { ...common, "x-consul-contenthash": optional(Schema.String) }
