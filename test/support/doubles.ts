/** Stand-ins for what one layer of accepting stands on, without sockets. */
import { Effect, Logger } from "effect"
import { Socket } from "node:net"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import type * as AdmissionLog from "../../src/inbound/AdmissionLog.ts"
import type { Connection } from "../../src/inbound/Connection.ts"
import type * as TlsServer from "../../src/inbound/TlsServer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as Certificates from "./certificates.ts"

/** Fails the test that calls it. */
export const untouchable = (what: string) => (): never => {
  throw new Error(`${what} must not be touched`)
}

/** Fails the test that asks it for anything. */
export const untouchableLog: AdmissionLog.AdmissionLog = {
  service: untouchable("the log's service"),
  keys: untouchable("the log's keys"),
  lines: { admit: untouchable("the log's lines") },
  denied: untouchable("the log of denials"),
  fault: untouchable("the log of faults"),
  denials: untouchable("the denials")
}

/** Runs what a callback wants done, and collects the lines of log that it writes. */
export const runner = () => {
  const lines: Array<string> = []
  const logger = Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void lines.push(line))])
  const run = (effect: Effect.Effect<unknown>): void => void Effect.runFork(Effect.provide(effect, logger))
  /** The same for an effect whose result counts. */
  const running = <A, E>(effect: Effect.Effect<A, E>) => Effect.provide(effect, logger)
  return { lines, run, running }
}

/** A connection that tells how often it was reset. */
export const connection = (name: string, remote = "127.0.0.1:5000") => {
  let resets = 0
  const socket = new Socket()
  const made: Connection = {
    caller: Certificates.service(name),
    decision: Decision.make(true, "no-intention"),
    remote,
    since: performance.now(),
    socket,
    carrier: socket,
    reset: () => {
      resets++
    }
  }
  return { connection: made, resets: () => resets }
}

/** A connection that has just arrived, and tells how often it was reset. */
export const arrive = (material: SecureContexts.Material) => {
  let resets = 0
  const transport = new Socket()
  transport.resetAndDestroy = () => {
    resets++
    return transport
  }
  const arrival: TlsServer.Arrival = { transport, remote: "10.0.0.1:4711", since: performance.now(), material }
  return { arrival, resets: () => resets }
}

export const peerOf = ({ caller }: Pick<Connection, "caller">): string => SpiffeId.format(caller)
