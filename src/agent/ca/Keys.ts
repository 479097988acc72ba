/** The keys of authorities, of the kinds that Consul knows. */
import { Effect, Result } from "effect"
import { createHash, createPrivateKey, type KeyObject, webcrypto, X509Certificate } from "node:crypto"

export type KeyType =
  | { readonly type: "ec"; readonly bits: 256 | 384 | 521 }
  | { readonly type: "rsa"; readonly bits: 2048 | 4096 }

export const generate = (key: KeyType): Promise<webcrypto.CryptoKeyPair> =>
  key.type === "ec"
    ? webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: `P-${key.bits}` }, true, ["sign", "verify"])
    : webcrypto.subtle.generateKey(
      {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: key.bits,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: "SHA-256"
      },
      true,
      ["sign", "verify"]
    )

/** With what a key of this kind signs certificates. */
export const signatureOf = (key: KeyType) =>
  key.type === "ec"
    ? { name: "ECDSA", hash: key.bits === 256 ? "SHA-256" : key.bits === 384 ? "SHA-384" : "SHA-512" }
    : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }

/** SHA-256 of the subject public key info, hex: longer than the SHA-1 that RFC 5280 suggests, as Consul's. */
export const identifier = (spki: ArrayBuffer): string => createHash("sha256").update(new Uint8Array(spki)).digest("hex")

/** A key that somebody else made, PEM without a password. Fails with what is wrong with it, as a clause. */
export const fromPem = (
  pem: string
): Effect.Effect<{ readonly key: KeyType; readonly privateKey: webcrypto.CryptoKey }, string> =>
  Effect.gen(function*() {
    const read = yield* Effect.try({
      try: () => createPrivateKey(pem),
      catch: () => "is no private key that can be read: it has to be PEM, without a password"
    })
    const key = yield* Effect.fromResult(kindOf(read))
    const pkcs8 = Uint8Array.from(read.export({ type: "pkcs8", format: "der" }))
    const { hash, name } = signatureOf(key)
    const algorithm = key.type === "ec" ? { name, namedCurve: `P-${key.bits}` } : { name, hash }
    const privateKey = yield* Effect.promise(() =>
      webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"])
    )
    return { key, privateKey }
  })

const curves: { readonly [curve: string]: 256 | 384 | 521 } = { prime256v1: 256, secp384r1: 384, secp521r1: 521 }

/** Of a certificate, PEM. */
export const publicKey = (certificate: string): KeyObject => new X509Certificate(certificate).publicKey

/** Of a private or a public key. */
export const kindOf = (key: KeyObject): Result.Result<KeyType, string> => {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  const curve = curves[namedCurve ?? ""]
  if (key.asymmetricKeyType === "ec" && curve !== undefined) return Result.succeed({ type: "ec", bits: curve })
  if (key.asymmetricKeyType === "rsa" && (modulusLength === 2048 || modulusLength === 4096)) {
    return Result.succeed({ type: "rsa", bits: modulusLength })
  }
  return Result.fail(
    `is of the kind ${key.asymmetricKeyType ?? "unknown"}${namedCurve === undefined ? "" : ` (${namedCurve})`}` +
      `${
        modulusLength === undefined ? "" : ` with ${modulusLength} bits`
      }: use EC with P-256, P-384 or P-521, or RSA ` +
      "with 2048 or 4096 bits"
  )
}

/** Whether a certificate is for a key. Both are PEM that can be read. */
export const belong = (certificate: string, privateKey: string): boolean =>
  new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))
