import { Effect } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"

/** Registers `greeter` as a native service, and lets `visitor` call it, for the scope. */
export const register = (port: number) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    yield* consul.call("allow visitor", (api) =>
      api.config.write({
        query: {},
        payload: { Kind: "service-intentions", Name: "greeter", Sources: [{ Name: "visitor", Action: "allow" }] }
      }))
    yield* Effect.acquireRelease(
      consul.call("register greeter", (api) =>
        api.agent.registerService({ query: {}, payload: { Name: "greeter", Port: port, Connect: { Native: true } } })),
      () =>
        consul.call("deregister greeter", (api) =>
          api.agent.deregisterService({ params: { id: "greeter" }, query: {} }))
          .pipe(Effect.ignore)
    )
  })
