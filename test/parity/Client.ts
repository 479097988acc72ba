/** The client beside the sidecar of `web`: plays one request over a connection of its own, and says everything that came back. */
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import * as Client2 from "./Client2.ts"
import type * as Recording from "./Recording.ts"
import * as RequestBytes from "./RequestBytes.ts"
import * as ResponseBytes from "./ResponseBytes.ts"

/** What came back. */
export interface Exchange {
  /** Interim ones included. */
  readonly responses: ReadonlyArray<ResponseBytes.Response>
  /** Whether the sidecar closed the connection. Absent: not looked at. */
  readonly closed?: boolean
  /** What came back through a tunnel. */
  readonly tunnel?: string
  /** What came and is no response. */
  readonly unparsed?: string
  readonly timedOut?: true
  readonly rstCode?: number
  readonly goaway?: number
  /** Why there was no connection. */
  readonly error?: string
}

/** How long an answer is waited for where nothing is said: longer than any timeout that a sidecar has by default. */
const patience = 20_000

/** How long after an answer the connection is watched for its end. */
const linger = 70

/** How long bytes are collected that come back through a tunnel. */
const tunnelled = 300

export const play = (port: number, request: Recording.Request): Promise<Exchange> =>
  request.h2 === true ? Client2.play(port, request, request.waitMs ?? patience) : play1(port, request)

const play1 = (port: number, request: Recording.Request): Promise<Exchange> =>
  new Promise((resolve) => {
    const method = RequestBytes.methodOf(request)
    const socket = Net.connect({ port, host: "127.0.0.1", noDelay: true })
    const responses: Array<ResponseBytes.Response> = []
    let bytes = ""
    let tunnel: string | undefined
    let closed = false
    const finish = () => {
      clearTimeout(timer)
      const answered = closed || tunnel !== undefined || responses.some(({ status }) => status >= 200)
      socket.destroy()
      resolve({
        responses,
        closed,
        ...(tunnel === undefined ? {} : { tunnel }),
        ...(bytes === "" ? {} : { unparsed: bytes.slice(0, 300) }),
        ...(answered ? {} : { timedOut: true })
      })
    }
    let timer = setTimeout(finish, request.waitMs ?? patience)
    const finishIn = (millis: number) => {
      clearTimeout(timer)
      timer = setTimeout(finish, millis)
    }
    const parse = () => {
      while (tunnel === undefined) {
        const taken = ResponseBytes.first(bytes, method, closed)
        if (taken === undefined) return
        responses.push(taken.response)
        bytes = taken.rest
        if (taken.tunnel) {
          tunnel = ""
          if (request.tunnel !== undefined) socket.write(request.tunnel)
          finishIn(tunnelled)
        } else if (taken.response.status >= 200) finishIn(request.lingerMs ?? linger)
      }
      tunnel += bytes
      bytes = ""
    }
    socket.on("connect", () => void say(socket, RequestBytes.partsOf(request)))
    socket.on("data", (chunk) => {
      bytes += chunk.toString("latin1")
      parse()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      closed = true
      parse()
      finish()
    })
  })

const say = async (socket: Net.Socket, parts: ReadonlyArray<RequestBytes.Part>): Promise<void> => {
  for (const part of parts) {
    if (typeof part === "number") await sleep(part)
    else if (socket.destroyed) return
    else if (part === "FIN") socket.end()
    else socket.write(Buffer.from(part, "latin1"))
  }
}
