/** What a command does that has workers do its work: it starts them, and answers operators for all of them. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duration, Effect } from "effect"
import type { Command } from "effect/cli"
import * as AccessLogWriter from "../../sidecar/log/AccessLogWriter.ts"
import type * as LeavingFlags from "../proxy/LeavingFlags.ts"
import type * as WorkersFlags from "./WorkersFlags.ts"
import * as Admin from "../proxy/Admin.ts"
import * as Workers from "./Workers.ts"

/** After the time that it was given to leave. */
const patience = Duration.seconds(10)

export type Options =
  & Parameters<typeof Admin.bindOf>[0]
  & Command.Command.Config.Infer<typeof LeavingFlags.flags>
  & Command.Command.Config.Infer<typeof WorkersFlags.flags>

export const supervise = Effect.fnUntraced(function*(options: Options) {
  const bind = yield* Admin.bindOf(options)
  const folder = bind === undefined ? undefined : yield* privateFolder
  const socketOf = (index: number) => folder === undefined ? null : join(folder, `${index}.sock`)
  const workers = Workers.make({
    count: options.workers,
    admin: socketOf,
    patience: Duration.sum(Duration.sum(options.shutdownDelay, options.drainTimeout), patience)
  })
  if (bind !== undefined) {
    const Handlers = yield* Effect.promise(() => import("../../admin/workers/Handlers.ts"))
    const AdminClient = yield* Effect.promise(() => import("../../admin/AdminClient.ts"))
    const clients = yield* Effect.forEach(
      workers.status(),
      ({ worker }) => AdminClient.make({ path: socketOf(worker)! })
    )
    yield* Admin.serve(options, bind, Handlers.source({ workers: clients, status: workers.status }))
  }
  const reopening = yield* AccessLogWriter.Reopening
  yield* Effect.acquireRelease(
    Effect.sync(() => reopening.add(workers.hangUp)),
    () => Effect.sync(() => reopening.delete(workers.hangUp))
  )
  yield* Effect.logInfo(`${options.workers} workers share the ports, and are given connections in turn`)
  yield* workers.run
})

/** Nobody else may ask workers. */
const privateFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-mesh-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)
