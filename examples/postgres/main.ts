/**
 * A PostgreSQL server behind the mesh, and `pg` in front of it, both unchanged. `ledger` admits `bank` and no other service.
 * Runs against the agent at CONSUL_HTTP_ADDR, or one of its own:
 *
 *     node examples/postgres/main.ts
 */
import * as assert from "node:assert/strict"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { pipeline } from "node:stream"
import { PGlite } from "@electric-sql/pglite"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import * as Pg from "pg"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as Consul from "../plain/consul.ts"

// A PostgreSQL server that only this machine can reach.
const folder = await Fs.mkdtemp(Path.join(Os.tmpdir(), "ledger-"))
const path = Path.join(folder, "postgres")
const db = await PGlite.create()
await db.exec("create table account (owner text, balance int); insert into account values ('Ada', 42)")
const postgres = new PGLiteSocketServer({ db, path })
await postgres.start()

const port = 9305
const consul = await Consul.open()
await consul.write({ Kind: "service-intentions", Name: "ledger", Sources: [{ Name: "bank", Action: "allow" }] })

// Callers that come through the mesh reach it.
const ledger = await PlainMesh.join({ service: "ledger", consul: consul.settings })
const entrance = Net.createServer((socket) => void pipeline(socket, Net.connect(path), socket, () => {}))
await ledger.listen(entrance, { host: "127.0.0.1", port })
await ledger.register({ port, drain: 0 })

/** Queries in the name of a service. */
const balance = async (mesh: PlainMesh.PlainMesh): Promise<unknown> => {
  const pool = new Pg.Pool({ database: "postgres", user: "postgres", stream: () => mesh.stream("ledger") })
  try {
    const { rows } = await pool.query("select balance from account where owner = $1", ["Ada"])
    return rows[0].balance
  } finally {
    await pool.end()
  }
}
const bank = await PlainMesh.join({ service: "bank", consul: consul.settings })
const guest = await PlainMesh.join({ service: "guest", consul: consul.settings })
assert.equal(await Consul.eventually(() => balance(bank)), 42)
console.log("bank reads from PostgreSQL through the mesh: Ada has 42")
await assert.rejects(balance(guest), /ECONNRESET|EPIPE|terminated/)
console.log("guest is not let in")

await guest.close()
await bank.close()
await ledger.close()
await consul.close()
await postgres.stop()
await db.close()
await Fs.rm(folder, { recursive: true })
