/** What a process knows that is one of several workers: see `Workers`. */
import { Effect, Schema } from "effect"

export const Worker = Schema.Struct({
  /** From 1. */
  index: Schema.Int,
  of: Schema.Int,
  /** The socket where the process that started it asks it for what operators want to know. Null: nobody asks. */
  admin: Schema.NullOr(Schema.String),
  /** Of the files that it makes. */
  umask: Schema.Int
})
export type Worker = typeof Worker.Type

/** Set for each worker by the process that starts it, and by nobody else. */
export const variable = "MESH_WORKER"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Worker))

export const encode = Schema.encodeSync(Schema.fromJsonString(Worker))

/** Undefined: the process is on its own. */
export const current: Worker | undefined = (() => {
  const text = process.env[variable]
  // It has no channel to anybody who would have set it.
  return text === undefined || !process.connected ? undefined : decode(text)
})()

if (current !== undefined) process.umask(current.umask)

/** Alone, or the one that does what has to be done once. */
export const isFirst: boolean = current === undefined || current.index === 1

/** What a worker says once it takes connections, and once it has left as it was told to by a drain. */
export type Word = "accepting" | "left"

const say = (word: Word): Effect.Effect<void> =>
  Effect.sync(() => {
    if (current !== undefined) process.send?.(word)
  })

export const sayAccepting: Effect.Effect<void> = say("accepting")

/** Around all that a worker does: its lines say whose they are, and it ends once it has nothing left to do. */
export const working = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  current === undefined ? self : self.pipe(
    Effect.tap(say("left")),
    Effect.annotateLogs({ worker: current.index }),
    Effect.ensuring(Effect.sync(() => process.channel?.unref()))
  )
