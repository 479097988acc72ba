/** Roots and leaf: whether they are there, valid now, and fit together. */
import { X509Certificate } from "node:crypto"
import { Clock, Effect, Result } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as ConsulError from "../../consul/ConsulError.ts"
import * as Certificate from "../../identity/Certificate.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as TrustBundle from "../../identity/TrustBundle.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as SpiffeRules from "../../tls/SpiffeRules.ts"
import * as CaRoots from "../../watch/CaRoots.ts"
import * as LeafCertificate from "../../watch/LeafCertificate.ts"
import type * as Asking from "./Asking.ts"
import * as Finding from "./Finding.ts"

export interface Checked {
  readonly findings: ReadonlyArray<Finding.Finding>
  /** Undefined: no handshake can be made. */
  readonly material: SecureContexts.Material | undefined
}

const day = 24 * 60 * 60 * 1000

export const check = Effect.fnUntraced(function*(
  { ask }: Asking.Asking,
  service: string,
  spiffe: SpiffeRules.Extent
): Effect.fn.Return<Checked, never, ConsulClient.ConsulClient> {
  const now = yield* Clock.currentTimeMillis
  const [rootsAnswer, leafAnswer] = yield* Effect.all([
    ask("GET /v1/agent/connect/ca/roots", (api) => api.agent.caRoots({ query: {} })),
    ask(
      `GET /v1/agent/connect/ca/leaf/${service}`,
      (api) => api.agent.caLeaf({ params: { service }, query: {} })
    )
  ], { concurrency: 2 })
  const [roots, ofRoots] = Result.isFailure(rootsAnswer)
    ? [undefined, Finding.ofError("read the CA roots", "", rootsAnswer.failure)] as const
    : judgeRoots(CaRoots.toBundle(rootsAnswer.success.body), now)
  const [leaf, ofLeaf] = Result.isFailure(leafAnswer)
    ? [
      undefined,
      Finding.ofError(`get a certificate for ${service}`, `service:write on ${service}`, leafAnswer.failure)
    ] as const
    : judgeLeaf(LeafCertificate.toLeaf(leafAnswer.success.body), service, now)
  if (roots === undefined || leaf === undefined) return { findings: [ofRoots, ofLeaf], material: undefined }
  const right = yield* mayRenew(ask, service, leaf)
  const material = SecureContexts.material(leaf, roots, now, spiffe)
  const fit = Result.isFailure(material)
    ? Finding.broken(material.failure.message, "Look at the certificate authority: consul connect ca get-config")
    : judgeChain(leaf, roots)
  return { findings: [ofRoots, ofLeaf, ...right, fit], material: Result.getOrElse(material, () => undefined) }
})

/**
 * Agents have been seen to give a certificate from their cache to tokens that could not get it otherwise (1.21). Another question
 * needs the same right, and is judged each time.
 */
const mayRenew = Effect.fnUntraced(function*(
  ask: Asking.Asking["ask"],
  service: string,
  { certificate, identity }: LeafCertificate.Leaf
) {
  const answer = yield* ask("POST /v1/agent/connect/authorize", (api) =>
    api.agent.authorize({
      query: {},
      payload: { Target: service, ClientCertURI: SpiffeId.format(identity), ClientCertSerial: certificate.serial }
    }))
  return Result.isFailure(answer) && ConsulError.isRefused(answer.failure)
    ? [Finding.broken(
      `the token may not get certificates for ${service}: this one comes from the agent's cache, and nobody will renew it`,
      `Give its policies service:write on ${service}`
    )]
    : []
})

const until = ({ notAfter }: Certificate.Certificate, now: number): string => {
  const left = notAfter.getTime() - now
  const words = left >= 2 * day ? `${Math.floor(left / day)} days` : `${Math.max(0, Math.round(left / 60_000))} minutes`
  return `until ${notAfter.toISOString()} (${words})`
}

const judgeRoots = (bundle: Result.Result<TrustBundle.TrustBundle, string>, now: number) => {
  if (Result.isFailure(bundle)) {
    const remedy = "Is the service mesh enabled (connect { enabled = true }) on the servers?"
    return [undefined, Finding.broken(`the CA roots are not usable: ${bundle.failure}`, remedy)] as const
  }
  const { roots } = bundle.success
  const active = roots.find((root) => root.active) ?? roots[0]
  const others = roots.length === 1 ? "" : `; ${roots.length} roots are trusted`
  const what = `the CA root ${active.name} signs, ${until(active.certificate, now)}${others}`
  const remedy = "Rotate the root before that: consul connect ca set-config"
  return [
    bundle.success,
    active.certificate.notAfter.getTime() < now
      ? Finding.broken(
        `the CA root that signs, ${active.name}, has expired at ${active.certificate.notAfter.toISOString()}`,
        remedy
      )
      : active.certificate.notAfter.getTime() - now < 30 * day
      ? Finding.doubt(what, remedy)
      : Finding.good(what)
  ] as const
}

const judgeLeaf = (leaf: Result.Result<LeafCertificate.Leaf, string>, service: string, now: number) => {
  const remedy = "Look at the agent's log: it renews leaves by itself"
  if (Result.isFailure(leaf)) {
    return [undefined, Finding.broken(`the certificate is not usable: ${leaf.failure}`, remedy)] as const
  }
  const { certificate, identity } = leaf.success
  const clocks = "Correct the clock of this machine, or that of the servers"
  if (identity.service.toLowerCase() !== service.toLowerCase()) {
    return [undefined, Finding.broken(`the agent gave the certificate of ${identity.service}`, remedy)] as const
  }
  const finding = certificate.notBefore.getTime() > now
    ? Finding.broken(
      `the certificate is not valid before ${certificate.notBefore.toISOString()}, by the clock here`,
      clocks
    )
    : Certificate.isValidAt(certificate, now)
    ? Finding.good(`the certificate is ${SpiffeId.format(identity)}, ${until(certificate, now)}`)
    : Finding.broken(
      `the certificate has expired at ${certificate.notAfter.toISOString()}`,
      `${remedy}, as long as its servers can be reached. ${clocks}`
    )
  return [leaf.success, finding] as const
}

/** By signatures: what peers will do. */
const judgeChain = (leaf: LeafCertificate.Leaf, { roots }: TrustBundle.TrustBundle): Finding.Finding => {
  const chain = Result.getOrElse(Certificate.parseAll(leaf.chainPem, "the leaf"), () => [leaf.certificate])
  const shown = chain.map(({ pem }) => new X509Certificate(pem))
  const anchors = roots.map(({ certificate, name }) => ({ name, certificate: new X509Certificate(certificate.pem) }))
  const issued = (by: X509Certificate) => (of: X509Certificate) => of.checkIssued(by) && of.verify(by.publicKey)
  let current = shown[0]
  for (let steps = 0; current !== undefined && steps <= shown.length; steps++) {
    const one: X509Certificate = current
    const anchor = anchors.find(({ certificate }) => issued(certificate)(one))
    if (anchor !== undefined) return Finding.good(`it leads to the root ${anchor.name}`)
    current = shown.find((other) => other !== one && issued(other)(one))
  }
  return Finding.broken(
    "the certificate leads to none of the trusted roots: every peer will refuse it",
    "Look at the certificate authority and its intermediates: consul connect ca get-config"
  )
}
