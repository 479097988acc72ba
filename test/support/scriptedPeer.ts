/** The other side of a connection, by `node:tls` alone, which ends as it is told to. */
import * as Net from "node:net"
import * as Tls from "node:tls"

/** Ends in order, by FIN alone, by a reset, or waits to be killed. */
export type Manner = "end" | "fin" | "reset" | "hold"

export interface Secrets {
  readonly chainPem: string
  readonly keyPem: string
}

export const versions = ["TLSv1.2", "TLSv1.3"] as const

const leave = (manner: Manner, socket: Tls.TLSSocket, transport: Net.Socket) => {
  switch (manner) {
    case "end":
      return void socket.end()
    case "fin":
      return void socket.destroy()
    case "reset":
      return void transport.resetAndDestroy()
    case "hold":
      return
  }
}

/** What it answers to, as a line or as a request: how it is to leave, and whether it says how much it answers. */
const command = /\b(end|fin|reset|hold|late)(?:\/(length|chunks|close))?\b/

const heads: Readonly<Record<string, string>> = {
  length: "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
  chunks: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n",
  close: "HTTP/1.1 200 OK\r\n\r\n"
}

/**
 * Says HALF and leaves; told `late`, it answers once the other side has ended. `began` is called when it has said HALF,
 * `heard` with what came after the command and with how that ended.
 */
export const serve = (
  { chainPem, keyPem }: Secrets,
  version: Tls.SecureVersion,
  { began, heard }: { readonly began?: () => void; readonly heard?: (text: string) => void } = {}
): Promise<{ readonly port: number; readonly close: () => void }> => {
  const tls = Tls.createServer({
    cert: chainPem,
    key: keyPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version
  })
  const open = new Map<number | undefined, Net.Socket>()
  tls.on("connection", (transport: Net.Socket) => open.set(transport.remotePort, transport))
  tls.on("secureConnection", (socket) => {
    const transport = open.get(socket.remotePort)!
    socket.allowHalfOpen = true
    let manner = ""
    let more = ""
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString()
      const told = manner === "" ? command.exec(text) : null
      if (told === null) return void (more += text)
      manner = told[1]!
      if (manner === "late") return
      socket.write(`${heads[told[2] ?? ""] ?? ""}HALF`, () => {
        began?.()
        leave(manner as Manner, socket, transport)
      })
    })
    socket.on("end", () => {
      more += "|ended"
      if (manner === "late") socket.write("LATE")
      socket.end()
    })
    socket.on("error", () => {})
    socket.on("close", () => heard?.(more))
  })
  tls.on("tlsClientError", () => {})
  return new Promise((resolve) =>
    tls.listen(0, "127.0.0.1", () =>
      resolve({
        port: (tls.address() as Net.AddressInfo).port,
        close: () => {
          tls.close()
          open.forEach((transport) => transport.destroy())
        }
      }))
  )
}

/** Connects, says HALF and leaves. What it hears, and whether that ended in order. */
export const call = (
  { chainPem, keyPem }: Secrets,
  version: Tls.SecureVersion,
  port: number,
  manner: Manner
): Promise<string> =>
  new Promise((resolve) => {
    const transport = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    let heard = ""
    transport.on("error", () => {})
    transport.on("close", () => resolve(heard))
    transport.once("connect", () => {
      const socket = Tls.connect({
        socket: transport,
        rejectUnauthorized: false,
        cert: chainPem,
        key: keyPem,
        minVersion: version,
        maxVersion: version
      })
      socket.on("error", () => {})
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString()
      })
      socket.on("end", () => {
        heard += "|ended"
        socket.end()
      })
      socket.once(
        "secureConnect",
        () => setImmediate(() => socket.write("HALF", () => leave(manner, socket, transport)))
      )
    })
  })
