/** `effect-mesh certs`: leaf, key and roots of a service on disk, for programs that cannot get them by themselves. */
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as FileIdentity from "../watch/FileIdentity.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as Watched from "../watch/Watched.ts"
import * as Consul from "./consul.ts"
import * as Log from "./Log.ts"
import { startTimeout } from "./startTimeout.ts"

/** The files could not be written. The ones before are still there. */
export class WriteFailed extends Schema.TaggedError<WriteFailed>()("WriteFailed", {
  folder: Schema.String,
  why: Schema.String
}) {
  override readonly message =
    `cannot keep certificates in ${this.folder}: ${this.why}. Give --write a folder that this user may write`
}

/**
 * Replaces the three files, each at once. Roots go first, since a peer's new leaf may need them, and the leaf last; for a
 * moment key and leaf do not match. Readers must tolerate that, as `FileIdentity` does.
 */
export const write = (folder: string, { leaf, roots }: SecureContexts.Material): Effect.Effect<void, WriteFailed> => {
  const { certFile, keyFile, rootsFile } = FileIdentity.inFolder(folder)
  const replace = async (file: string, text: string, mode: number) => {
    const temporary = join(folder, `.${randomBytes(6).toString("hex")}.tmp`)
    try {
      await Fs.writeFile(temporary, text, { mode })
      await Fs.rename(temporary, file)
    } catch (cause) {
      await Fs.rm(temporary, { force: true })
      throw cause
    }
  }
  return Effect.tryPromise({
    try: async () => {
      await Fs.mkdir(folder, { recursive: true })
      const active = roots.roots.toSorted((a, b) => Number(b.active) - Number(a.active))
      await replace(rootsFile, active.map((root) => root.certificate.pem).join(""), 0o644)
      await replace(keyFile, Redacted.value(leaf.keyPem), 0o600)
      await replace(certFile, leaf.chainPem, 0o644)
    },
    catch: (cause) => new WriteFailed({ folder, why: cause instanceof Error ? cause.message : String(cause) })
  })
}

export const certs = Command.make(
  "certs",
  {
    ...Log.flags,
    ...Consul.flags,
    service: Flag.String("service").pipe(
      Flag.withDescription("The service to get certificates for; the token needs service:write on it"),
      Flag.withMetavar("NAME")
    ),
    write: Flag.String("write").pipe(
      Flag.withDescription("Folder for cert.pem, key.pem and roots.pem; created if it is missing"),
      Flag.withMetavar("DIR")
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Write them once, and stop. Default: keep them current"),
      Flag.withDefault(false)
    ),
    startTimeout: startTimeout("the agent")
  },
  Effect.fn("cli.certs")(function*(options) {
    const { once, service, startTimeout, write: folder } = options
    const certificates = SecureContexts.layer.pipe(
      Layer.provide(Layer.effectDiscard(Effect.gen(function*() {
        yield* Watched.readyWithin(yield* CaRoots.CaRoots, `${startTimeout} seconds`)
        yield* Watched.readyWithin(yield* LeafCertificate.LeafCertificate, `${startTimeout} seconds`)
      }))),
      Layer.provide(Layer.mergeAll(CaRoots.layer, LeafCertificate.layer({ service }))),
      Layer.provide(Consul.layer(options))
    )
    const keep = Effect.gen(function*() {
      const { changes } = yield* SecureContexts.SecureContexts
      yield* Stream.runForEach(once ? Stream.take(changes, 1) : changes, (material) =>
        Effect.andThen(
          write(folder, material),
          Log.announce(
            options,
            `${folder}: ${SpiffeId.format(material.leaf.identity)}, ` +
              `until ${material.leaf.certificate.notAfter.toISOString()}, ` +
              `${material.roots.roots.length} root${material.roots.roots.length === 1 ? "" : "s"}`
          )
        ))
    })
    return yield* keep.pipe(Effect.provide(Layer.provideMerge(certificates, Log.layer(options))))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Keep the certificate, key and roots of a service on disk, for programs that cannot get them by themselves. Each " +
      "file is replaced at once; the key is readable by its owner alone."
  ),
  Command.withShortDescription("Keep the certificates of a service on disk"),
  Command.withExamples([
    { command: "effect-mesh certs --service web --write /run/web-certs", description: "Until stopped" },
    { command: "effect-mesh certs --service web --write certs --once", description: "What is valid now" }
  ])
)
