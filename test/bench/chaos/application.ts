/** An instance that obeys the faults of a plan, counts attempts, and can be killed and started again on its port. */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** What happens to one attempt. */
export type Fault = "503" | "reset" | "delay" | undefined

export interface Application {
  readonly port: number
  /** Resets all connections, and accepts none. */
  readonly kill: () => Promise<void>
  readonly restart: () => Promise<void>
}

/** How long a delayed attempt takes, in milliseconds. */
const delay = 50

/** `next` says what happens to the next attempt at a request, which has its number in `x-number`. */
export const start = async (next: (request: number) => Fault): Promise<Application> => {
  let server: Http.Server | undefined
  let port = 0
  const answer = async (request: Http.IncomingMessage, response: Http.ServerResponse): Promise<void> => {
    const fault = next(Number(request.headers["x-number"]))
    let bytes = 0
    for await (const chunk of request) bytes += chunk.length
    if (fault === "reset") return void request.socket.resetAndDestroy()
    if (fault === "delay") await new Promise<void>((resolve) => void setTimeout(resolve, delay))
    response.writeHead(fault === "503" ? 503 : 200)
    response.end(String(bytes))
  }
  const listen = () =>
    new Promise<void>((resolve) => {
      server = Http.createServer((request, response) => void answer(request, response).catch(() => {}))
      server.listen(port, "127.0.0.1", () => {
        port = (server!.address() as AddressInfo).port
        resolve()
      })
    })
  const sockets = new Set<Http.IncomingMessage["socket"]>()
  const kill = () =>
    new Promise<void>((resolve) => {
      server?.close(() => resolve())
      server = undefined
      sockets.forEach((socket) => socket.resetAndDestroy())
    })
  const restart = async () => {
    await listen()
    server!.on("connection", (socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })
  }
  await restart()
  return { port, kill, restart }
}
