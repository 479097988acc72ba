/** Shared by the examples without Effect. */
import { setTimeout } from "node:timers/promises"
import { Effect, Exit, Scope } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"

const named = process.env["CONSUL_HTTP_ADDR"]

/** The agent that the environment names, or a development agent until `close`. */
export const open = async () => {
  const scope = Scope.makeUnsafe()
  const made = DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  const settings = named === undefined ? { address: (await Effect.runPromise(Scope.provide(made, scope))).address } : {}
  const address = settings.address ?? (named?.includes("://") ? named : `http://${named}`)
  const token = process.env["CONSUL_HTTP_TOKEN"]
  return {
    /** For `PlainMesh.join`. */
    settings,
    /** Writes a config entry, as `consul config write` does. */
    write: async (entry: { readonly Kind: string; readonly Name: string; readonly [field: string]: unknown }) => {
      const headers = token === undefined ? {} : { "x-consul-token": token }
      const answer = await fetch(`${address}/v1/config`, { method: "PUT", headers, body: JSON.stringify(entry) })
      if (!answer.ok) throw new Error(`cannot write ${entry.Kind}/${entry.Name}: ${await answer.text()}`)
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/** Tries until it works: an agent needs a moment to spread new services and policy. */
export const eventually = async <A>(attempt: () => Promise<A>): Promise<A> => {
  for (let left = 100;; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0) throw error
      await setTimeout(100)
    }
  }
}
