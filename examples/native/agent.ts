import { Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"

/** The agent that the environment names, or a development agent for as long as the program runs. */
export const agent = process.env["CONSUL_HTTP_ADDR"] === undefined
  ? Layer.unwrap(
    Effect.map(
      DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" }),
      ({ address }) => ConsulClient.layer({ address })
    )
  )
  : ConsulClient.layer()
