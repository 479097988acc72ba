/** Agents of Node whose connections lead to the service that the host of a request names. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"

type Connected = ((error: Error | null, stream: Duplex) => void) | undefined

type Open = (service: string) => Promise<Duplex>

const connectFor = (open: Open, host: string | null | undefined, callback: Connected): undefined => {
  open(host ?? "").then(
    (socket) => callback?.(null, socket),
    // Node looks at the error alone.
    (error: Error) => callback?.(error, undefined as never)
  )
}

/** The same agent, over the mesh. */
export const lead = <A extends Http.Agent>(agent: A, open: Open): A =>
  Object.assign(agent, {
    createConnection: (options: { readonly host?: string | null | undefined }, callback: Connected): undefined =>
      connectFor(open, options.host, callback)
  })

/**
 * Fails the answer that comes on a connection which fails: Node takes that for the end of one whose length nobody told.
 * To be called before Node hears of the error.
 */
export const failAnswer = (socket: Duplex, error: Error): void => {
  const request: unknown = Reflect.get(socket, "_httpMessage")
  const answer: unknown = request instanceof Http.ClientRequest ? Reflect.get(request, "res") : undefined
  if (answer instanceof Http.IncomingMessage && !answer.complete) answer.destroy(error)
}
