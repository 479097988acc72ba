/** A Consul agent as its users see it: what is PUT there is what was recorded, to the letter. */
import { Effect, Schema } from "effect"

/** It refused, or did not answer. */
export class AgentRefused extends Schema.TaggedError<AgentRefused>()("AgentRefused", {
  request: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.request}: ${this.why}`
}

export interface Agent {
  readonly address: string
  readonly ask: (method: string, path: string, body?: unknown) => Effect.Effect<unknown, AgentRefused>
}

export const make = (address: string, token: string | undefined): Agent => ({
  address,
  ask: (method, path, body) =>
    Effect.tryPromise({
      try: async () => {
        const response = await fetch(`${address}${path}`, {
          method,
          headers: token === undefined ? {} : { "x-consul-token": token },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        const text = await response.text()
        if (!response.ok) throw new Error(`${response.status} ${text}`)
        return text === "" ? undefined : JSON.parse(text)
      },
      catch: (cause) =>
        new AgentRefused({
          request: `${method} ${path}`,
          why: cause instanceof Error ? cause.message : String(cause)
        })
    })
})
