/**
 * The names by which clients of the mesh say what they want at the other end of TLS, as Consul makes them (`agent/connect/sni.go`):
 *
 *     [subset.]service.namespace.datacenter.internal.trust-domain
 *     [subset.]service.namespace.partition.datacenter.internal-v1.trust-domain
 *     service.namespace.partition.peer.external.trust-domain
 */

export interface Local {
  readonly _tag: "Service"
  readonly service: string
  /** Empty: the service as it is. */
  readonly subset: string
  readonly namespace: string
  readonly partition: string
  readonly datacenter: string
}

/** What a cluster of another mesh asks for, by the name that it has here. */
export interface Exported {
  readonly _tag: "Exported"
  readonly service: string
  readonly namespace: string
  readonly partition: string
  /** Whoever asks. */
  readonly peer: string
}

export type ServerName = Local | Exported

/** Names have no letter case (RFC 6066): `text` is in lower case, and the trust domain in any. */
export const isIn = (text: string, trustDomain: string): boolean => text.endsWith(`.${trustDomain.toLowerCase()}`)

/** In lower case, as `text` is. Undefined: that is no name in this trust domain. */
export const parse = (text: string, trustDomain: string): ServerName | undefined => {
  if (!isIn(text, trustDomain)) return undefined
  const labels = text.slice(0, -trustDomain.length - 1).split(".")
  const form = labels.pop()
  if (labels.includes("")) return undefined
  switch (form) {
    case "internal": {
      const [datacenter, namespace, service, subset = "", ...more] = labels.toReversed()
      return service === undefined || more.length > 0
        ? undefined
        : { _tag: "Service", service, subset, namespace: namespace!, partition: "default", datacenter: datacenter! }
    }
    case "internal-v1": {
      const [datacenter, partition, namespace, service, subset = "", ...more] = labels.toReversed()
      return service === undefined || more.length > 0
        ? undefined
        : { _tag: "Service", service, subset, namespace: namespace!, partition: partition!, datacenter: datacenter! }
    }
    case "external": {
      const [peer, partition, namespace, service, ...more] = labels.toReversed()
      return service === undefined || more.length > 0
        ? undefined
        : { _tag: "Exported", service, namespace: namespace!, partition: partition!, peer: peer! }
    }
    default:
      return undefined
  }
}

/** As clients write it. */
export const format = (name: ServerName, trustDomain: string): string => {
  if (name._tag === "Exported") {
    return `${name.service}.${name.namespace}.${name.partition}.${name.peer}.external.${trustDomain}`
  }
  const { datacenter, namespace, partition, service, subset } = name
  const what = subset === "" ? service : `${subset}.${service}`
  return partition === "default"
    ? `${what}.${namespace}.${datacenter}.internal.${trustDomain}`
    : `${what}.${namespace}.${partition}.${datacenter}.internal-v1.${trustDomain}`
}
