/**
 * Ports for whoever binds them later, and maybe not in this process. The kernel takes ports for everybody's own connections from above
 * 32,767, agents give theirs to sidecars from 21,000 on, and tests that run in other processes ask for some as well: none of these gets one of
 * ours. Each process has a hundred, which are its own as long as it listens on the first of them.
 */
import * as Net from "node:net"
import { Effect } from "effect"

const first = 10_000
const blocks = 90
const size = 100

/** Undefined: somebody has it. */
const listen = (port: number): Promise<Net.Server | undefined> =>
  new Promise((resolve) => {
    const server = Net.createServer()
    server.once("error", () => resolve(undefined))
    server.listen(port, "127.0.0.1", () => resolve(server))
  })

const claim = async (): Promise<number> => {
  for (let turn = Math.floor(Math.random() * blocks);; turn++) {
    const block = first + size * (turn % blocks)
    const server = await listen(block)
    if (server === undefined) continue
    // It ends with the process, and keeps nobody waiting.
    server.unref()
    return block
  }
}

let block: Promise<number> | undefined
let given = 0

const next = async (): Promise<number> => {
  block ??= claim()
  const from = await block
  for (;;) {
    const port = from + 1 + given++ % (size - 1)
    const server = await listen(port)
    if (server === undefined) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

/** One that nobody has, and nobody else gets. */
export const freePort: Effect.Effect<number> = Effect.promise(next)
