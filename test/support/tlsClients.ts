/** Clients of a mesh listener that are not ours: `node:tls`, `openssl s_client`, `curl`. */
import { spawn, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as Tls from "node:tls"
import { Effect, type Scope } from "effect"
import type * as Certificates from "./certificates.ts"
import { folder } from "./temporary.ts"

export interface Client {
  readonly socket: Tls.TLSSocket
  /** Cuts it by a reset. */
  readonly reset: () => void
}

/** A TLS connection by `node:tls`, ready when its own handshake is over: with TLS 1.3 the server has yet to judge it. */
export const connect = (
  port: number,
  issued: Certificates.Issued | undefined,
  options: Tls.ConnectionOptions = {}
): Effect.Effect<Client, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Client, Error>((resume) => {
      const transport = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
      transport.on("error", (error) => resume(Effect.fail(error)))
      transport.once("connect", () => {
        const socket = Tls.connect({
          socket: transport,
          rejectUnauthorized: false,
          ...(issued === undefined ? {} : { cert: issued.chainPem, key: issued.keyPem }),
          ...options
        })
        socket.on("error", (error) => resume(Effect.fail(error)))
        socket.once("secureConnect", () =>
          resume(Effect.succeed({ socket, reset: () => void transport.resetAndDestroy() })))
      })
      return Effect.sync(() =>
        transport.destroy()
      )
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** What a command printed, on both of its streams, and its exit code. */
export interface Ran {
  readonly code: number | null
  readonly output: string
}

export const has = (command: string): boolean => spawnSync(command, ["version"]).error === undefined

/** Runs a command. Its input is `input`, and ends once its output matches `until`, or with it where there is none. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly input?: string; readonly until?: RegExp } = {}
): Effect.Effect<Ran> =>
  Effect.callback((resume) => {
    const child = spawn(command, args, { stdio: "pipe" })
    let output = ""
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (options.until?.test(output)) child.stdin.end()
    }
    child.stdin.on("error", () => {})
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    if (options.input !== undefined) child.stdin.write(options.input)
    if (options.until === undefined) child.stdin.end()
    return Effect.sync(() => child.kill())
  })

/** Paths of PEM files, gone with the scope. */
export const files = Effect.fnUntraced(function*(issued: Certificates.Issued, root: Certificates.Authority) {
  const path = yield* folder
  const write = (name: string, text: string) => {
    writeFileSync(join(path, name), text)
    return join(path, name)
  }
  return {
    folder: path,
    cert: write("cert.pem", issued.certPem),
    chain: write("chain.pem", issued.chainPem),
    key: write("key.pem", issued.keyPem),
    root: write("root.pem", root.pem)
  }
})

/** `openssl s_client`. */
export const sClient = (
  port: number,
  flags: ReadonlyArray<string>,
  options?: { readonly input: string; readonly until: RegExp }
): Effect.Effect<Ran> => run("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...flags], options)

/** The flags by which it presents a certificate. */
export const presenting = (paths: { readonly cert: string; readonly key: string }): ReadonlyArray<string> => [
  "-cert",
  paths.cert,
  "-key",
  paths.key
]
