/** An Envoy as the sidecar of a service of the mesh, told what to do by the agent. */
import { Effect } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as Run from "../envoy/Run.ts"
import * as Target from "../envoy/Target.ts"

export { EnvoyEnded } from "../envoy/Run.ts"

export interface Options {
  readonly consul: ConsulClient.ConsulClient["Service"]
  readonly proxyId: string
  /** Empty: none. */
  readonly token: string
  readonly binary: string
}

/** Returns once it is started; it is ready when the checks of its registration pass. */
export const start = Effect.fnUntraced(function*({ binary, consul, proxyId, token }: Options) {
  const { authority, address, service, datacenter } = yield* Target.asked(consul, proxyId)
  const { ended } = yield* Run.start({
    binary,
    bootstrap: {
      proxyId,
      service,
      datacenter,
      grpc: address,
      grpcAuthority: authority,
      // Any free port: nobody is told of it.
      admin: { host: "127.0.0.1", port: 0 },
      adminAccessLog: "/dev/null",
      token
    },
    args: ["--log-level", "warn", "--concurrency", "1", "--drain-time-s", "1"],
    output: (line) => Effect.annotateLogs(Effect.logInfo(line), { mesh: proxyId })
  })
  return {
    service,
    ended: Effect.andThen(
      ended,
      Effect.fail(new Run.EnvoyEnded({ why: `the Envoy of ${service} ended by itself`, exitCode: 1 }))
    )
  }
})
