/** A scripted peer in a process of its own, for tests that kill it. */
import * as Peer from "../../support/scriptedPeer.ts"

export interface Told {
  readonly secrets: Peer.Secrets
  /** Where it is to call, each so often. Absent: it serves. */
  readonly ports?: ReadonlyArray<number>
  readonly count?: number
}

/** Where it serves, then once for each connection on which it has begun to speak. */
export type Tells = { readonly ports: ReadonlyArray<number> } | "began"

const tell = (message: Tells) => process.send?.(message)

process.once("message", ({ count = 1, ports, secrets }: Told) => {
  if (ports === undefined) {
    void Promise.all(Peer.versions.map((version) => Peer.serve(secrets, version, { began: () => tell("began") })))
      .then((servers) => tell({ ports: servers.map(({ port }) => port) }))
    return
  }
  for (const port of ports) {
    for (let i = 0; i < count; i++) void Peer.call(secrets, Peer.versions[i % 2]!, port, "hold")
  }
  tell({ ports })
})
process.once("disconnect", () => process.exit(0))
