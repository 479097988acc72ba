/**
 * Writes the access log of a sidecar, where the registration wants it: to the standard output, the standard error, or the end of a
 * file. Traffic never waits for it: what the receiver does not take in time is dropped and counted, and so is what can not be
 * written.
 *
 *     facts ─▶ line ─▶ stream, of which 1 MiB may wait ─▶ file
 */
import * as Fs from "node:fs"
import { Context, Effect, FiberSet, Result, type Scope } from "effect"
import * as AccessLog from "../../observe/AccessLog.ts"
import * as LineLimit from "../../observe/LineLimit.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import type * as AccessLogs from "../../watch/registration/AccessLogs.ts"
import * as Choice from "./Choice.ts"

export type Log = (facts: Substitution.Facts) => void

export interface AccessLogWriter {
  /** Undefined: there is no access log. */
  readonly log: () => Log | undefined
  /** The same for connections that come to no request, or to nobody. */
  readonly listenerLog: () => Log | undefined
  /** From now on. */
  readonly follow: (accessLogs: AccessLogs.AccessLogs | undefined) => void
}

/** Of lines that wait to be written. */
const waitingBytes = 1024 * 1024

/** Between two attempts to open a file that could not be opened or written. */
const reopenMillis = 5000

/** For what waits when the sidecar stops. */
const flushMillis = 1000

export interface Options {
  /** For lines that no format is registered for. */
  readonly service: string
  readonly choice?: Choice.Choice | undefined
}

/** Whoever moves log files away calls all of these then: a file is opened anew, by its name, with the next line. */
export const Reopening = Context.Reference<Set<() => void>>("effect-mesh/sidecar/log/AccessLogWriter/Reopening", {
  defaultValue: () => new Set()
})

/** Writes what waits when the scope closes. */
export const make = Effect.fnUntraced(function*(
  { choice = {}, service }: Options
): Effect.fn.Return<AccessLogWriter, never, Scope.Scope> {
  const reopening = yield* Reopening
  const run = yield* FiberSet.makeRuntime()
  const limit = LineLimit.make()
  const warn = (name: string, why: string) => {
    const leftOut = limit.admit(why, performance.now())
    if (leftOut === undefined) return
    run(Effect.logWarning(`the access log on ${name}: ${why}. Lines are missing in it${LineLimit.suffix(leftOut)}`))
  }
  let current: AccessLogs.AccessLogs | undefined
  let sink: Sink | undefined
  let log: Log | undefined
  const reopen = () => sink?.reopen()
  yield* Effect.acquireRelease(
    Effect.sync(() => reopening.add(reopen)),
    () => Effect.sync(() => reopening.delete(reopen))
  )
  yield* Effect.addFinalizer(() => Effect.timeoutOption(Effect.suspend(() => sink?.close ?? Effect.void), flushMillis))
  return {
    log: () => log,
    listenerLog: () => current?.listenerLogs === true ? log : undefined,
    follow: (registered) => {
      const next = Choice.apply(choice, registered, service)
      if (nameOf(next) !== nameOf(current)) {
        if (sink !== undefined) run(Effect.timeoutOption(sink.close, flushMillis))
        sink = next === undefined ? undefined : makeSink(next.to, (why) => warn(nameOf(next), why))
      }
      current = next
      const into = sink
      if (next === undefined || into === undefined) {
        log = undefined
        return
      }
      const format = formatOf(next.format)
      log = (facts) => {
        if (Choice.isKept(choice, facts, Math.random())) into.write(format(facts))
      }
    }
  }
})

const nameOf = (logs: AccessLogs.AccessLogs | undefined): string =>
  logs === undefined ? "" : logs.to.type === "file" ? logs.to.path : logs.to.type

/** A registration has none that fails. */
const formatOf = (format: AccessLogs.AccessLogs["format"]): AccessLog.Format =>
  Result.getOrThrow("text" in format ? AccessLog.text(format.text) : AccessLog.json(format.json))

interface Sink {
  readonly write: (line: string) => void
  /** Closes a file, once what waits is written, and opens it with the next line. */
  readonly reopen: () => void
  /** Waits for what is on its way. */
  readonly close: Effect.Effect<void>
}

/** `lost`: a line is, and why. */
const makeSink = (to: AccessLogs.AccessLogs["to"], lost: (why: string) => void): Sink => {
  let stream = open(to)
  let isClosed = false
  let failedAt = -Infinity
  let failure = ""
  function open(to: AccessLogs.AccessLogs["to"]): Fs.WriteStream | undefined {
    const opened = streamTo(to)
    opened.on("error", (cause) => {
      failure = "code" in cause ? String(cause.code) : cause.message
      failedAt = performance.now()
      if (stream === opened) stream = undefined
      lost(`it can not be written (${failure})`)
    })
    return opened
  }
  return {
    write: (line) => {
      if (isClosed) return
      if (stream === undefined) {
        if (performance.now() - failedAt < reopenMillis) return lost(`it can not be written (${failure})`)
        stream = open(to)
      }
      if (stream === undefined) return
      if (stream.writableLength + line.length > waitingBytes) return lost("its receiver is too slow")
      stream.write(line)
    },
    reopen: () => {
      if (to.type !== "file") return
      stream?.end()
      stream = undefined
      failedAt = -Infinity
    },
    close: Effect.callback((resume) => {
      isClosed = true
      if (stream === undefined) return resume(Effect.void)
      stream.end(() => resume(Effect.void))
    })
  }
}

/** The standard ones by their numbers: `process.stdout` would have everybody wait for a receiver that does not read. */
const streamTo = (to: AccessLogs.AccessLogs["to"]): Fs.WriteStream =>
  to.type === "file"
    ? Fs.createWriteStream(to.path, { flags: "a" })
    : Fs.createWriteStream("", { fd: to.type === "stdout" ? 1 : 2, autoClose: false })
