/** Reads what a client says first from its connection, and puts it back: whoever is behind us has to hear it as well. */
import type { Socket } from "node:net"
import { Effect } from "effect"
import * as ClientHello from "./ClientHello.ts"

export type Heard =
  | Exclude<ClientHello.Finding, { readonly _tag: "NeedMore" }>
  /** It did not say it in time. */
  | { readonly _tag: "TooSlow" }
  /** It has left before. `silent`: without a word, as probes do. */
  | { readonly _tag: "Gone"; readonly silent: boolean }

/** Nothing has been read of it yet. Interrupted, it is left as it is. */
export const read = (socket: Socket, millis: number): Effect.Effect<Heard> =>
  Effect.callback((resume) => {
    const reader = ClientHello.make()
    const chunks: Array<Buffer> = []
    const stop = () => {
      clearTimeout(timer)
      socket.off("readable", look).off("end", look).off("close", look)
    }
    const settle = (heard: Heard) => {
      stop()
      resume(Effect.succeed(heard))
    }
    const timer = setTimeout(() => settle({ _tag: "TooSlow" }), millis)
    const look = () => {
      for (let chunk: Buffer | null; (chunk = socket.read()) !== null;) {
        chunks.push(chunk)
        const finding = reader.read(chunk)
        if (finding._tag === "NeedMore") continue
        if (finding._tag === "Hello") socket.unshift(Buffer.concat(chunks))
        return settle(finding)
      }
      if (socket.readableEnded || socket.destroyed) settle({ _tag: "Gone", silent: chunks.length === 0 })
    }
    socket.on("readable", look).on("end", look).on("close", look)
    return Effect.sync(stop)
  })
