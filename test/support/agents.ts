/** HTTP servers on loopback that answer as no Consul agent should. */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, request as ask, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"

export interface BadAgent {
  readonly address: string
  readonly port: number
  /** Requests that were seen, in order: `GET /v1/…`. */
  readonly requests: ReadonlyArray<string>
  readonly headers: ReadonlyArray<IncomingMessage["headers"]>
  /** Connections that are open now. */
  readonly open: () => number
  /** The most that were open at once. */
  readonly peak: () => number
}

/** Serves `answer` until the scope closes; then no connection is left. */
export const badAgent = (
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  port = 0
): Effect.Effect<BadAgent, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<BadAgent & { readonly close: Effect.Effect<void> }>((resume) => {
      const requests: Array<string> = []
      const headers: Array<IncomingMessage["headers"]> = []
      const sockets = new Set<Socket>()
      let peak = 0
      const server = createServer((request, response) => {
        requests.push(`${request.method} ${request.url}`)
        headers.push(request.headers)
        answer(request, response, requests.length)
      })
      server.on("connection", (socket) => {
        sockets.add(socket)
        peak = Math.max(peak, sockets.size)
        socket.on("close", () => sockets.delete(socket))
      })
      const close = Effect.callback<void>((done) => {
        server.close(() => done(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
      server.listen(port, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const address = `127.0.0.1:${port}`
        resume(Effect.succeed({ address, port, requests, headers, open: () => sockets.size, peak: () => peak, close }))
      })
    }),
    (agent) => agent.close
  )

/** What an agent answers: JSON, with an index. */
export const json = (response: ServerResponse, body: unknown, index = 1): void => {
  response.setHeader("Content-Type", "application/json")
  response.setHeader("X-Consul-Index", String(index))
  response.end(JSON.stringify(body))
}

export type Fault = (response: ServerResponse) => void

export const refusing = (status: number, body: string): Fault => (response) => {
  response.writeHead(status, { "content-type": "text/plain" })
  response.end(body)
}

/** What an agent can do wrong while its address still answers. */
export const faults = {
  "has gone": (response) => response.destroy(),
  "does not answer": () => {},
  "has no leader": refusing(500, "No cluster leader"),
  "does not know the token": refusing(403, "ACL not found"),
  "denies": refusing(403, "Permission denied: token lacks permission 'service:write' on \"web\"")
} as const satisfies Readonly<Record<string, Fault>>

/** The agent at `port` behind an address of its own, where it can be made to fail, and `rewrite` what it is asked. */
export const agentBehind = (port: number, rewrite: (path: string) => string = (path) => path) =>
  Effect.gen(function*() {
    let fault: Fault | undefined
    let isAbout = (_path: string) => true
    let late = 0
    let lowered = 0
    let at = port
    const held = new Set<ServerResponse>()
    const front = yield* badAgent((request, response) => {
      if (fault !== undefined && isAbout(request.url!)) return fault(response)
      held.add(response)
      response.once("close", () => held.delete(response))
      const { headers, method, url } = request
      const pass = () => {
        const path = rewrite(url!).replace(/(?<=[?&]index=)\d+/, (index) => String(Number(index) + lowered))
        const behind = ask({ host: "127.0.0.1", port: at, path, method, headers, agent: false }, (answer) => {
          const index = answer.headers["x-consul-index"]
          const said = index === undefined ? {} : { "x-consul-index": String(Math.max(1, Number(index) - lowered)) }
          response.writeHead(answer.statusCode!, { ...answer.headers, ...said })
          answer.pipe(response)
        })
        behind.on("error", () => response.destroy())
        response.once("close", () => behind.destroy())
        request.pipe(behind)
      }
      if (late === 0) return pass()
      const timer = setTimeout(pass, late)
      response.once("close", () => clearTimeout(timer))
    })
    return {
      ...front,
      /** From now on, also for what is being held. Undefined: as the one behind it. `about`: for these paths only. */
      become: (next: Fault | undefined, about: (path: string) => boolean = () => true) => {
        fault = next
        isAbout = about
        held.forEach((response) => response.destroy())
      },
      /** From now on it thinks for so many milliseconds before each answer. */
      slow: (millis: number) => {
        late = millis
      },
      /** It starts again, with the same data and an index that is lower by so much. */
      lower: (by: number) => {
        lowered = by
        held.forEach((response) => response.destroy())
      },
      /** From now on another agent is behind it. */
      replace: (by: number) => {
        at = by
        held.forEach((response) => response.destroy())
      }
    }
  })
