/** Asks the platform whether `PresentedChain` is needed, and whether its way still leads there. */
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PresentedChain from "../../src/tls/PresentedChain.ts"
import * as Certificates from "../support/certificates.ts"
import { material } from "../support/handshake.ts"

/** How many certificates of a client's chain can be seen once its handshake is over. */
const seen = (keep: (server: Tls.Server) => void) =>
  Effect.gen(function*() {
    const top = yield* Effect.promise(() => Certificates.root("root"))
    const signing = yield* Effect.promise(() => Certificates.intermediate(top, "signing"))
    const issued = yield* Effect.promise(() => Certificates.issue(signing, { intermediates: [signing] }))
    const { client, server } = material(issued, Certificates.bundle(top))
    return yield* Effect.callback<number>((resume) => {
      const listener = Tls.createServer({ ...server, requestCert: true, rejectUnauthorized: false })
      keep(listener)
      let caller: Tls.TLSSocket | undefined
      listener.on("secureConnection", (socket) => {
        socket.on("error", () => {})
        const certificate = PresentedChain.certificateOf(socket)
        resume(Effect.succeed(1 + PresentedChain.following(certificate).length))
        caller?.destroy()
        listener.close()
      })
      listener.listen(0, "127.0.0.1", () => {
        const { port } = listener.address() as Net.AddressInfo
        caller = Tls.connect({ host: "127.0.0.1", port, secureContext: client, rejectUnauthorized: false })
        caller.on("error", () => {})
      })
    })
  })

describe("what a client sent after its leaf", () => {
  it.live("is kept", () => Effect.map(seen(PresentedChain.keep), (count) => assert.isAbove(count, 1)))

  // Where this fails, `isDropped` has to learn of a version: of one that mends it, or of another that breaks it.
  it.live("is dropped by Node without help where it is said to be", () =>
    Effect.map(
      seen(() => {}),
      (count) => assert.strictEqual(count === 1, PresentedChain.isDropped(process.versions.node))
    ))

  it.live("is had without looking at the secrets of connections where Node keeps it", () =>
    Effect.sync(() => {
      const server = Tls.createServer()
      PresentedChain.keep(server)
      assert.strictEqual(server.listenerCount("keylog") === 0, !PresentedChain.isDropped(process.versions.node))
    }))
})
