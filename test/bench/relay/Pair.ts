/** What every competitor is told, and how it answers. */

/** PEM texts of one side of a pair. */
export interface Side {
  readonly role: "inbound" | "outbound"
  readonly chainPem: string
  readonly keyPem: string
  readonly rootPem: string
  /** Cipher suites, in OpenSSL's spelling. */
  readonly ciphers: string
  /** Port of the application (inbound), or of the inbound side (outbound). */
  readonly target: number
}

/**
 * What the sidecar tells V8 in `src/sidecar/GarbageCollection.ts`. Plain Node is compared under it too,
 * as what a flag does is no merit of the sidecar. So are the load and the application: their pauses are nobody's.
 */
export const collectorFlags: ReadonlyArray<string> = [
  "--no-parallel-scavenge",
  "--heap-growing-percent=200",
  ...(Number.parseInt(process.versions.v8) === 13 ? ["--scavenger-max-new-space-capacity-mb=1"] : [])
]

/** Sent by a child once it listens. */
export interface Listening {
  readonly port: number
}

/** Runs a child's side: waits for what it is told, listens, answers with the port, collects garbage on demand. */
export const serve = (start: (side: Side) => Promise<number>): void => {
  process.on("message", (message: Side | "gc") => {
    if (message === "gc") {
      globalThis.gc?.()
      process.send?.("collected")
      return
    }
    void start(message).then((port) => process.send?.({ port } satisfies Listening))
  })
  process.on("disconnect", () => process.exit(0))
}
