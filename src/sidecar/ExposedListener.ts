/**
 * A path of the application for those who are no members of the mesh, such as health checks and collectors of metrics: plain HTTP,
 * without identities and intentions.
 */
import * as Net from "node:net"
import { Effect, type Scope } from "effect"
import type * as Marks from "../http/relay/Marks.ts"
import * as Listening from "../net/Listening.ts"
import * as LocalServer from "../net/LocalServer.ts"
import * as Splice from "../net/Splice.ts"
import type * as Exposed from "../watch/registration/Exposed.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as ExposedHttp from "./http/ExposedHttp.ts"
import * as Listener from "./Listener.ts"
import type * as AccessLogWriter from "./log/AccessLogWriter.ts"
import * as ConnectionLine from "./log/ConnectionLine.ts"

export interface Options {
  readonly marks: Marks.Marks
  readonly accessLog: AccessLogWriter.AccessLogWriter
}

/** What can not change while it is open. */
export const keyOf = ({ listen }: Exposed.ExposedPath): string => JSON.stringify(listen)

/** The same path may be exposed on several ports. */
export const nameOf = (
  exposed: Exposed.ExposedPath,
  { exposed: all }: Pick<ProxyRegistration.Registration, "exposed">
): string => {
  const isFirst = all.find(({ path }) => path === exposed.path)?.listen.port === exposed.listen.port
  return isFirst ? `exposed ${exposed.path}` : `exposed ${exposed.path} on ${exposed.listen.port}`
}

export const make = Effect.fnUntraced(function*(
  exposed: Exposed.ExposedPath,
  registration: ProxyRegistration.Registration,
  { accessLog, marks }: Options
): Effect.fn.Return<Listener.Listener, Listening.ListenError, Scope.Scope> {
  let current = exposed
  const http = yield* ExposedHttp.make({ exposed, registration }, accessLog.log, marks)
  const { accepted, bound, idle, open, stop } = yield* LocalServer.make({
    bind: exposed.listen,
    drain: 0, // the sidecar waits, for all of its listeners
    draining: http.drain,
    serve: (socket) => {
      const client = Splice.plain(socket)
      return Effect.ensuring(
        current.onlyAgent && !isHere(socket) ? Effect.sync(() => turnAway(socket, accessLog)) : http.serve(client),
        Effect.sync(client.reset)
      )
    }
  })
  return {
    address: Listening.format(bound),
    announce: http.announce,
    stop,
    idle,
    counts: () => ({ ...Listener.none, open: open(), accepted: accepted() }),
    details: Listener.noDetails,
    update: (registration) =>
      Effect.sync(() => {
        const next = registration.exposed.find(({ listen }) => listen.port === exposed.listen.port)
        if (next === undefined) return
        current = next
        http.update({ exposed: next, registration })
      })
  }
})

const loopback = new Net.BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

/** Whether the client is on this host, as the agent is. */
const isHere = ({ localAddress, remoteAddress = "" }: Net.Socket): boolean =>
  remoteAddress !== "" && (remoteAddress === localAddress ||
    loopback.check(remoteAddress, Net.isIPv6(remoteAddress) ? "ipv6" : "ipv4"))

/** For Envoy, no chain of filters is for it. */
const turnAway = (downstream: Net.Socket, { listenerLog }: AccessLogWriter.AccessLogWriter): void => {
  if (listenerLog() !== undefined) ConnectionLine.begin({ log: listenerLog, downstream }).ended({ flags: "NR" })
}
