/** A root as the agent keeps it, and as the API shows it. */
import { Result } from "effect"
import type * as ConsulCa from "../../consul/CertificateAuthority.ts"
import * as x509 from "../../identity/x509.ts"
import * as CertificateAuthority from "../CertificateAuthority.ts"
import * as Keys from "./Keys.ts"
import type * as Provider from "./Provider.ts"

export interface Kept {
  /** SHA-1 fingerprint, colon hex. */
  readonly id: string
  readonly pem: string
  /** From the one that signs leaves up to the one below the root. */
  readonly authorities: ReadonlyArray<string>
  /** By which whoever trusts the former root trusts this one. */
  readonly crossed: ReadonlyArray<string>
  /** Of what signs leaves: colon hex. */
  readonly signingKeyId: string
  readonly active: boolean
  readonly createIndex: number
  readonly modifyIndex: number
  /** What its certificate says. */
  readonly said:
    & Pick<ConsulCa.Root, "Name" | "SerialNumber" | "NotBefore" | "NotAfter">
    & Pick<ConsulCa.Root, "PrivateKeyType" | "PrivateKeyBits">
}

/** The active root. */
export const make = (provider: Provider.Provider, crossed: ReadonlyArray<string>, index: number): Kept => {
  const certificate = new x509.X509Certificate(provider.root)
  const key = Result.getOrUndefined(Keys.kindOf(Keys.publicKey(provider.root)))
  return {
    id: idOf(provider.root),
    pem: provider.root,
    authorities: provider.authorities,
    crossed,
    signingKeyId: CertificateAuthority.signingKeyId(
      new x509.X509Certificate(provider.authorities[0] ?? provider.root)
    ),
    active: true,
    createIndex: index,
    modifyIndex: index,
    said: {
      Name: `${names[provider.name]} CA Primary Cert`,
      SerialNumber: lowBits(certificate.serialNumber),
      NotBefore: rfc3339(certificate.notBefore),
      NotAfter: rfc3339(certificate.notAfter),
      PrivateKeyType: key?.type ?? "",
      PrivateKeyBits: key?.bits ?? 0
    }
  }
}

const names = { consul: "Consul", files: "Files", vault: "Vault" } as const

export const idOf = (pem: string): string => CertificateAuthority.fingerprint(new x509.X509Certificate(pem))

/** How long a certificate lives, and when half of that is over: milliseconds. */
export const lifeOf = (pem: string): { readonly life: number; readonly renewAt: number } => {
  const { notAfter, notBefore } = new x509.X509Certificate(pem)
  const life = notAfter.getTime() - notBefore.getTime()
  return { life, renewAt: notBefore.getTime() + life / 2 }
}

/** In Consul's order: the one that signs leaves is the last. */
export const intermediates = ({ authorities, crossed }: Kept): ReadonlyArray<string> => [
  ...crossed,
  ...authorities.toReversed()
]

export const shown = (root: Kept, clusterId: string): ConsulCa.Root => ({
  ID: root.id,
  ...root.said,
  SigningKeyID: root.signingKeyId,
  ExternalTrustDomain: clusterId,
  RootCert: root.pem,
  IntermediateCerts: intermediates(root),
  Active: root.active,
  CreateIndex: root.createIndex,
  ModifyIndex: root.modifyIndex
})

/** As an unsigned integer of 64 bits, which is what Consul shows of it: not above the largest that is exact as a double. */
const lowBits = (hex: string): number => Math.min(Number(BigInt.asUintN(64, BigInt(`0x${hex}`))), 2 ** 64 - 2048)

/** As Go prints it: without fractions of a second. */
export const rfc3339 = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, "Z")
