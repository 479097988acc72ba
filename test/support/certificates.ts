/** A small certificate authority that issues whatever a test needs, faults included. */
import { webcrypto } from "node:crypto"
import { Redacted, Result } from "effect"
import * as Certificate from "../../src/identity/Certificate.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as x509 from "../../src/identity/x509.ts"
import type * as LeafCertificate from "../../src/watch/LeafCertificate.ts"

export const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

/** The identity of a service in `dc1`. */
export const service = (name: string): SpiffeId.Service =>
  SpiffeId.service({ trustDomain, datacenter: "dc1", service: name })

const minute = 60_000

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

export interface Authority {
  readonly name: string
  readonly pem: string
  readonly keys: webcrypto.CryptoKeyPair
  readonly certificate: x509.X509Certificate
}

/** Faults and forms that a leaf can have. Times are milliseconds from now. */
export interface LeafOptions {
  /** URIs of the alternative name; default: the service `web`. */
  readonly uris?: ReadonlyArray<string> | undefined
  /** DNS names that come before the URIs. */
  readonly dns?: ReadonlyArray<string> | undefined
  readonly notBefore?: number | undefined
  readonly notAfter?: number | undefined
  /** Default: both. Undefined in the array's place: no such extension. */
  readonly usages?: ReadonlyArray<"client" | "server"> | "none" | undefined
  readonly keyUsage?: x509.KeyUsageFlags | "none" | undefined
  /** Whether it says that it is an authority. */
  readonly isCa?: boolean | undefined
  /** What is shown after the leaf. */
  readonly intermediates?: ReadonlyArray<Authority> | undefined
}

/** What an authority can say of itself. Times are milliseconds from now. */
export interface AuthorityOptions {
  readonly notBefore?: number | undefined
  readonly notAfter?: number | undefined
  /** Default: none. */
  readonly uris?: ReadonlyArray<string> | undefined
  /** Default: a new one. */
  readonly keys?: webcrypto.CryptoKeyPair | undefined
  /** How many authorities may be below it. Default: any number. */
  readonly pathLength?: number | undefined
}

/** A certificate with its key, as `node:tls` and `openssl` take them. */
export interface Issued {
  readonly certPem: string
  /** The certificate, then the intermediates. */
  readonly chainPem: string
  readonly keyPem: string
}

export const root = async (
  name: string,
  options?: AuthorityOptions
): Promise<Authority> => {
  const keys = options?.keys ?? await generateKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    ...validity(options),
    signingAlgorithm: algorithm,
    keys,
    extensions: await authorityExtensions(keys, options)
  })
  return { name, keys, certificate, pem: `${certificate.toString("pem")}\n` }
}

export const intermediate = async (
  issuer: Authority,
  name: string,
  options?: AuthorityOptions
): Promise<Authority> => signAuthority(issuer, name, options?.keys ?? await generateKeys(), options)

/** The key and name of `subject`, vouched for by `issuer`: what rides along during a rotation. */
export const crossSign = (
  issuer: Authority,
  subject: Authority,
  options?: AuthorityOptions
): Promise<Authority> => signAuthority(issuer, subject.name, subject.keys, options)

export const issue = async (issuer: Authority, options: LeafOptions = {}): Promise<Issued> => {
  const keys = await generateKeys()
  const names: Array<{ type: "dns" | "url"; value: string }> = [
    ...(options.dns ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(options.uris ?? [SpiffeId.format(service("web"))]).map((value) => ({ type: "url" as const, value }))
  ]
  const usages = options.usages ?? ["client", "server"]
  const certificate = await sign(issuer, "", keys, options, [
    new x509.BasicConstraintsExtension(options.isCa ?? false, undefined, true),
    ...(options.keyUsage === "none"
      ? []
      : [new x509.KeyUsagesExtension(options.keyUsage ?? x509.KeyUsageFlags.digitalSignature, true)]),
    ...(usages === "none"
      ? []
      : [
        new x509.ExtendedKeyUsageExtension(
          usages.map((usage) => usage === "client" ? "1.3.6.1.5.5.7.3.2" : "1.3.6.1.5.5.7.3.1")
        )
      ]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, true)])
  ])
  const certPem = `${certificate.toString("pem")}\n`
  return {
    certPem,
    chainPem: certPem + (options.intermediates ?? []).map(({ pem }) => pem).join(""),
    keyPem: await keyToPem(keys.privateKey)
  }
}

/** What `LeafCertificate` serves. The identity is that of the first URI, which must be a service. */
export const toLeaf = (issued: Issued): LeafCertificate.Leaf => {
  const certificate = Result.getOrThrow(Certificate.parse(issued.chainPem, "a test leaf"))
  const identity = Result.getOrThrow(Certificate.identity(certificate))
  if (identity._tag !== "Service") throw new Error("not the leaf of a service")
  return { identity, certificate, chainPem: issued.chainPem, keyPem: Redacted.make(issued.keyPem) }
}

/** The leaf of a service in `dc1`. */
export const leafOf = async (
  issuer: Authority,
  name: string,
  options?: LeafOptions
): Promise<LeafCertificate.Leaf> => toLeaf(await issue(issuer, { uris: [SpiffeId.format(service(name))], ...options }))

/** What `CaRoots` serves. The first one is active. */
export const bundle = (
  ...roots: readonly [Pick<Authority, "name" | "pem">, ...Array<Pick<Authority, "name" | "pem">>]
): TrustBundle.TrustBundle => {
  const [first, ...rest] = roots.map((authority, index) =>
    Result.getOrThrow(TrustBundle.root({
      id: `${authority.name}-${index}`,
      name: authority.name,
      rootCert: authority.pem,
      intermediateCerts: [],
      active: index === 0
    }))
  )
  return { trustDomain, roots: [first!, ...rest] }
}

const signAuthority = async (
  issuer: Authority,
  name: string,
  keys: webcrypto.CryptoKeyPair,
  options?: AuthorityOptions
): Promise<Authority> => {
  const extensions = await authorityExtensions(keys, options)
  const certificate = await sign(issuer, `CN=${name}`, keys, options, extensions)
  return { name, keys, certificate, pem: `${certificate.toString("pem")}\n` }
}

const sign = async (
  issuer: Authority,
  subject: string,
  { publicKey }: webcrypto.CryptoKeyPair,
  options: Pick<AuthorityOptions, "notBefore" | "notAfter"> | undefined,
  extensions: ReadonlyArray<x509.Extension>
): Promise<x509.X509Certificate> =>
  x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject,
    issuer: issuer.certificate.subject,
    ...validity(options),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey: issuer.keys.privateKey,
    extensions: [...extensions, await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey)]
  })

const authorityExtensions = async (
  keys: webcrypto.CryptoKeyPair,
  { pathLength, uris = [] }: AuthorityOptions = {}
) => [
  ...(uris.length === 0
    ? []
    : [new x509.SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value })))]),
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
]

const validity = (options?: Pick<AuthorityOptions, "notBefore" | "notAfter">) => ({
  notBefore: new Date(Date.now() + (options?.notBefore ?? -minute)),
  notAfter: new Date(Date.now() + (options?.notAfter ?? 60 * minute))
})

const generateKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

export const keyToPem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64")
  return `-----BEGIN PRIVATE KEY-----\n${base64.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`
}

const serial = (): string => `01${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString("hex")}`
