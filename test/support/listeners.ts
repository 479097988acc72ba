/** A mesh listener of `api` in a test, with an authority that issues for its callers. */
import { Effect, Layer } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as Certificates from "./certificates.ts"
import * as Mesh from "./mesh.ts"

/** Answers in upper case, and ends when the caller has. */
export const shout = (connection: MeshListener.Connection): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { socket } = connection
    socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()))
    socket.on("end", () => socket.end())
    socket.once("close", () => resume(Effect.void))
  })

export const listen = Effect.fnUntraced(function*(options: Partial<MeshListener.Options<never>> = {}) {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const api = yield* Mesh.member("api", ca)
  const context = yield* Layer.build(Layer.fresh(api.layer))
  const handled: Array<string> = []
  const listener = yield* MeshListener.make({
    host: "127.0.0.1",
    port: 0,
    drain: "1 second",
    ...options,
    handle: (connection) => {
      handled.push(SpiffeId.display(connection.caller))
      return (options.handle ?? shout)(connection)
    }
  }).pipe(Effect.provideContext(context))
  return {
    ca,
    api,
    listener,
    /** Names of the callers that reached the handler. */
    handled,
    contexts: context,
    /** A certificate for a service, or with any fault. */
    issue: (name: string, faults?: Certificates.LeafOptions) =>
      Effect.promise(() => Certificates.issue(ca, { uris: [SpiffeId.format(Certificates.service(name))], ...faults }))
  }
})
