/** The status of an answer that is written by hand: to a connection that asked for an upgrade. */
import type { Duplex } from "node:stream"

/** Calls `seen` with the status of the first line that is written to `socket`, if it is one. */
export const watch = (socket: Duplex, seen: (status: number) => void): void => {
  const { _write, _writev } = socket
  const first = (chunk: unknown) => {
    Object.assign(socket, { _write, _writev })
    const [, status] = /^HTTP\/1\.[01] (\d{3}) /.exec(String(chunk).slice(0, 16)) ?? []
    if (status !== undefined) seen(Number(status))
  }
  socket._write = (chunk, encoding, callback) => {
    first(chunk)
    _write.call(socket, chunk, encoding, callback)
  }
  if (_writev === undefined) return
  socket._writev = (chunks, callback) => {
    first(chunks[0]?.chunk)
    _writev.call(socket, chunks, callback)
  }
}
