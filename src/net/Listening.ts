/** Binding and releasing servers of Node: what all listeners share. */
import { rmSync, statSync } from "node:fs"
import { chmod } from "node:fs/promises"
import * as Net from "node:net"
import { isMainThread } from "node:worker_threads"
import { Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import * as LineLimit from "../observe/LineLimit.ts"

/** Where to listen. Port 0: any free one. `mode` are the file mode bits of the socket. */
export type Bind = { readonly host: string; readonly port: number } | {
  readonly path: string
  readonly mode?: number | undefined
  /** Not shared with other workers of the program. */
  readonly exclusive?: boolean | undefined
}

/** Nothing listens there. Passes only when somebody frees the address. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  /** `127.0.0.1:8080`, or the path of a unix socket. */
  address: Schema.String,
  /** Node's code: `EADDRINUSE`, `EACCES`, … */
  code: Schema.String
}) {
  override readonly message = `cannot listen on ${this.address}: ${explain(this.code)}`
  /** Operators read it: where in this package it was made would say nothing to them. */
  override readonly stack = `ListenError: ${this.message}`
}

export const format = (bind: Bind): string =>
  "path" in bind ? bind.path : `${bind.host.includes(":") ? `[${bind.host}]` : bind.host}:${bind.port}`

/** Listens, and returns the address with the port that was given. Does not close the server: `close` does. */
export const listen = (server: Net.Server, bind: Bind): Effect.Effect<Bind, ListenError> =>
  "path" in bind ? listenOnPath(server, bind) : Effect.map(open(server, bind), () => {
    const address = server.address()
    return { host: bind.host, port: typeof address === "object" && address !== null ? address.port : bind.port }
  })

/** As Effect's servers tell where they are, which takes an IP address. */
export const inetAddress = (
  { host, port }: { readonly host: string; readonly port: number }
): Effect.Effect<NetAddress.InetAddress, ListenError> =>
  Effect.mapError(
    Effect.fromResult(NetAddress.inetAddressFromIpString(host, port)),
    () => new ListenError({ address: format({ host, port }), code: "EADDRNOTAVAIL" })
  )

/** Stops accepting at once. Connections stay. */
export const close = (server: Net.Server): Effect.Effect<void> =>
  Effect.sync(() => {
    if (server.listening) server.close()
  })

/** Logs what goes wrong while it listens, such as an accept that fails: not every time. */
export const failures = (bound: Bind): (cause: Error) => Effect.Effect<void> => {
  const lines = LineLimit.make()
  return (cause) => {
    const leftOut = lines.admit(cause.message, performance.now())
    return leftOut === undefined
      ? Effect.void
      : Effect.logError(`the listener on ${format(bound)} failed${LineLimit.suffix(leftOut)}`, cause)
  }
}

/** A socket file that a crashed process left behind takes no connections, and is replaced. */
const listenOnPath = (server: Net.Server, bind: { readonly path: string; readonly mode?: number | undefined }) =>
  open(server, bind).pipe(
    Effect.catchIf(
      (error) => error.code === "EADDRINUSE",
      (error) =>
        Effect.flatMap(removedIfAbandoned(bind.path), (removed) => removed ? open(server, bind) : Effect.fail(error))
    ),
    Effect.andThen(
      bind.mode === undefined
        ? Effect.void
        : Effect.tryPromise({ try: () => chmod(bind.path, bind.mode!), catch: (cause) => listenError(bind, cause) })
    ),
    Effect.as(bind)
  )

const open = (server: Net.Server, bind: Bind): Effect.Effect<void, ListenError> =>
  Effect.callback((resume) => {
    const failed = (cause: Error) => resume(Effect.fail(listenError(bind, cause)))
    server.once("error", failed)
    try {
      withMode(bind, () =>
        server.listen(
          "path" in bind
            ? { path: bind.path, exclusive: bind.exclusive === true }
            : { host: bind.host, port: bind.port },
          () => {
            server.off("error", failed)
            resume(Effect.void)
          }
        ))
    } catch (cause) {
      // Node throws what it takes for a mistake of the program, such as a port above 65535.
      server.off("error", failed)
      resume(Effect.fail(listenError(bind, cause)))
    }
  })

/** A socket file is there from this call on: from then on it has to be closed to others. Threads have no mask of their own. */
const withMode = (bind: Bind, listen: () => void): void => {
  if (!("path" in bind) || bind.mode === undefined || !isMainThread) return listen()
  const before = process.umask(0o777 & ~bind.mode)
  try {
    listen()
  } finally {
    process.umask(before)
  }
}

/** Several processes that share it find out together. What one of them has made anew since then stays. */
const removedIfAbandoned = (path: string): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const found = inodeOf(path)
    return Effect.map(isAbandoned(path), (abandoned) => {
      if (abandoned && found !== undefined && inodeOf(path) === found) rmSync(path, { force: true })
      return abandoned
    })
  })

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino

const isAbandoned = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.once("error", (cause) => resume(Effect.succeed("code" in cause && cause.code === "ECONNREFUSED")))
  })

const listenError = (bind: Bind, cause: unknown): ListenError =>
  new ListenError({
    address: format(bind),
    code: cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
  })

const explain = (code: string): string => {
  switch (code) {
    case "EADDRINUSE":
      return "the address is in use by another process. Stop that, or choose another port"
    case "EACCES":
      return "permission denied. Choose a port above 1023, or a directory that may be written"
    case "EADDRNOTAVAIL":
      return "this machine has no such address. Choose one of its own, or 0.0.0.0 for all of them"
    case "ENOENT":
      return "the directory does not exist"
    case "ERR_SOCKET_BAD_PORT":
      return "that is no port. Choose a whole number from 1 to 65535, or 0 for any free one"
    default:
      return code
  }
}
