/**
 * Leaf, key and roots from files that another program keeps current, as `effect-mesh certs` and the helpers of SPIFFE do: a
 * service can be itself without a Consul agent. The files are read every few seconds, as notifications get lost when
 * files are replaced through links; a value is announced when their contents have changed and fit together. While one of
 * them is missing, half written, or of another pair, the last good ones stay in force.
 */
import * as Fs from "node:fs/promises"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { Clock, type Duration, Effect, Layer, Result, Schedule, Schema, Stream } from "effect"
import * as Certificate from "../identity/Certificate.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as CaRoots from "./CaRoots.ts"
import * as LeafCertificate from "./LeafCertificate.ts"
import * as Watched from "./Watched.ts"

export interface Options {
  /** PEM: the leaf, then what leads to a root. */
  readonly certFile: string
  /** PEM: its private key. */
  readonly keyFile: string
  /** PEM: every root, the active one first. */
  readonly rootsFile: string
  /** Between readings. Default: 2 seconds. */
  readonly every?: Duration.Input | undefined
}

/** What is in a folder that `effect-mesh certs --write` keeps. */
export const inFolder = (folder: string): Pick<Options, "certFile" | "keyFile" | "rootsFile"> => ({
  certFile: `${folder}/cert.pem`,
  keyFile: `${folder}/key.pem`,
  rootsFile: `${folder}/roots.pem`
})

/** The files cannot be used as they are now. */
export class UnusableFiles extends Schema.TaggedError<UnusableFiles>()("UnusableFiles", {
  files: Schema.String,
  why: Schema.String
}) {
  override readonly message = `the identity in ${this.files} can not be used: ${this.why}`
}

interface Identity {
  readonly leaf: LeafCertificate.Leaf
  readonly bundle: TrustBundle.TrustBundle
}

/** Builds at once: wait for the first reading with `Watched.ready`. */
export const layer = (options: Options): Layer.Layer<CaRoots.CaRoots | LeafCertificate.LeafCertificate> =>
  Layer.unwrap(Effect.map(watch(options), (identity) =>
    Layer.merge(
      Layer.succeed(LeafCertificate.LeafCertificate, Watched.map(identity, "the leaf certificate", ({ leaf }) => leaf)),
      Layer.succeed(CaRoots.CaRoots, Watched.map(identity, "the CA roots", ({ bundle }) => bundle))
    )))

const watch = (options: Options) => {
  const files = [options.certFile, options.keyFile, options.rootsFile]
  let last: { readonly texts: string; readonly identity: Identity } | undefined
  const read = Effect.gen(function*() {
    const [cert, key, roots] = yield* Effect.forEach(files, (file) =>
      Effect.tryPromise({
        try: () => Fs.readFile(file, "utf8"),
        catch: (cause) => cause instanceof Error ? cause.message : String(cause)
      }))
    const texts = [cert, key, roots].join("\0")
    // The same object for the same files, so that no change is announced.
    if (last?.texts !== texts) last = { texts, identity: yield* Effect.fromResult(parse(cert!, key!, roots!)) }
    return last.identity
  })
  const observe = Effect.flatMap(Clock.currentTimeMillis, (at) =>
    Effect.match(read, {
      onSuccess: (value): Watched.Observation<Identity> => ({ _tag: "Answer", value, at }),
      onFailure: (why): Watched.Observation<Identity> => ({
        _tag: "Failure",
        error: new UnusableFiles({ files: files.join(", "), why })
      })
    }))
  return Watched.make(
    { what: "the identity in files", watch: "files", subject: options.certFile },
    Stream.fromEffectSchedule(observe, Schedule.spaced(options.every ?? "2 seconds"))
  )
}

/** Fails with what is wrong. */
export const parse = (cert: string, key: string, roots: string): Result.Result<Identity, string> =>
  Result.gen(function*() {
    const leaf = yield* LeafCertificate.toLeaf({
      CertPEM: cert,
      PrivateKeyPEM: key
    })
    const fits = yield* attempt(() => new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    if (!fits) return yield* Result.fail("the key is not that of the certificate")
    const all = yield* Result.mapError(Certificate.parseAll(roots, "the roots"), (error) => error.message)
    const parsed: Array<TrustBundle.Root> = []
    for (const [index, certificate] of all.entries()) {
      parsed.push({ id: String(index), name: `root ${index}`, certificate, intermediates: [], active: index === 0 })
    }
    const [first, ...rest] = parsed
    if (first === undefined) return yield* Result.fail("there is no root")
    return { leaf, bundle: { trustDomain: leaf.identity.trustDomain, roots: [first, ...rest] as const } }
  })

const attempt = <A>(f: () => A): Result.Result<A, string> =>
  Result.try({ try: f, catch: (cause) => cause instanceof Error ? cause.message : String(cause) })
