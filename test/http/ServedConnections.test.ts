import type { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as ServedConnections from "../../src/http/ServedConnections.ts"

/** A connection that writes down what is done to it, among those that are open. */
const open = (idle = false) => {
  const done: Array<string> = []
  const connections = new ServedConnections.ServedConnections()
  const connection = {
    socket: { destroySoon: () => done.push("end") } as unknown as Socket,
    reset: () => void done.push("reset")
  }
  const served = {
    announce: () => void done.push("announce"),
    retire: () => void done.push("retire"),
    sweep: () => idle
  }
  connections.add(connection)
  return { connections, connection, served, done }
}

describe("ServedConnections", () => {
  it("leaves alone what is in use", () => {
    const { connection, connections, done, served } = open()
    connections.serve(connection, served)
    connections.sweep(1e9)
    assert.deepStrictEqual(done, [])
  })

  it("retires what is idle, and cuts it when its client stays", () => {
    const { connection, connections, done, served } = open(true)
    connections.serve(connection, served)
    connections.sweep(1000)
    assert.deepStrictEqual(done, ["retire"])
    connections.sweep(2001)
    assert.deepStrictEqual(done, ["retire", "reset"])
  })

  it("cuts at the earliest time it was told", () => {
    const { connection, connections, done } = open()
    connections.cutAfter(connection, 100)
    connections.cutAfter(connection, 200)
    connections.sweep(100)
    assert.deepStrictEqual(done, [])
    connections.sweep(101)
    assert.deepStrictEqual(done, ["reset"])
  })

  it("does not postpone a cut for a connection that retires", () => {
    const { connection, connections, done, served } = open()
    connections.serve(connection, served)
    connections.cutAfter(connection, 100)
    connections.retire(connection, 500)
    connections.sweep(101)
    assert.deepStrictEqual(done, ["retire", "reset"])
  })

  it("ends a connection that retires before its version of HTTP is known", () => {
    const { connection, connections, done } = open()
    connections.retire(connection, Infinity)
    assert.deepStrictEqual(done, ["end"])
  })

  it("forgets what is closed", () => {
    const { connection, connections, done, served } = open(true)
    connections.delete(connection)
    connections.serve(connection, served)
    connections.retire(connection, 0)
    connections.sweep(1e9)
    assert.deepStrictEqual(done, [])
  })
})
