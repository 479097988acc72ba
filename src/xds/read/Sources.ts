/** The callers that Envoy's policies name, by the patterns that Consul writes for the sources of intentions. */

/** `undefined` is any. */
export interface Source {
  readonly trustDomain: string
  readonly partition: string
  readonly namespace: string | undefined
  readonly service: string | undefined
}

const segment = String.raw`((?:[A-Za-z0-9_-]|\\?\.)+|\[\^/\]\+)`
const id = String
  .raw`spiffe://((?:[A-Za-z0-9_-]|\\?\.)+)(?:/ap/((?:[A-Za-z0-9_-]|\\?\.)+))?/ns/${segment}/dc/\[\^/\]\+/svc/${segment}`
const ofCertificate = new RegExp(`^\\^${id}\\$$`)
const ofHeader = new RegExp(String.raw`^\^\[\^,\]\+;URI=${id}\(\?:,\.\*\)\?\$$`)
const ofGateway = new RegExp(
  String.raw`^\^spiffe://((?:[A-Za-z0-9_-]|\\?\.)+)(?:/ap/((?:[A-Za-z0-9_-]|\\?\.)+))?/gateway/mesh/dc/\[\^/\]\+\$$`
)

/** The expression on a certificate's URI. Undefined: it is none of Consul's. */
export const fromRegex = (regex: string): Source | undefined => toSource(ofCertificate.exec(regex))

/** The expression on `x-forwarded-client-cert`, by which gateways name callers of peers. */
export const fromForwarded = (regex: string): Source | undefined => toSource(ofHeader.exec(regex))

/** The trust domain of the mesh gateways that the expression covers. */
export const gateway = (regex: string): string | undefined => {
  const found = ofGateway.exec(regex)?.[1]
  return found === undefined ? undefined : literal(found).toLowerCase()
}

const toSource = (match: RegExpExecArray | null): Source | undefined =>
  match === null ? undefined : {
    trustDomain: literal(match[1]!).toLowerCase(),
    partition: match[2] === undefined ? "default" : literal(match[2]),
    namespace: pattern(match[3]!),
    service: pattern(match[4]!)
  }

const pattern = (text: string): string | undefined => text === "[^/]+" ? undefined : literal(text)

/** Consul leaves dots as they are, meaning dots. */
const literal = (text: string): string => text.replaceAll("\\.", ".")

export const key = ({ namespace, partition, service, trustDomain }: Source): string =>
  JSON.stringify([trustDomain, partition, namespace ?? null, service ?? null])

/** Whether every caller of `self` is one of `that`. */
export const isWithin = (self: Source, that: Source): boolean =>
  self.trustDomain === that.trustDomain && self.partition === that.partition &&
  (that.namespace === undefined || that.namespace === self.namespace) &&
  (that.service === undefined || that.service === self.service)
