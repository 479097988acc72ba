import { assert, it } from "@effect/vitest"
import { appendFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Logs from "./Logs.ts"

const withLogs = (use: (logs: Logs.Logs) => void) => {
  const folder = mkdtempSync(join(tmpdir(), "parity-logs-"))
  try {
    use(Logs.make(join(folder, "access.log")))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

it("tells the lines of one sidecar from those of another, in each format", () =>
  withLogs((logs) => {
    appendFileSync(
      logs.path,
      [
        `{"downstream_local_address":"127.0.0.1:20001","path":"/built-in"}`,
        `127.0.0.1:20001 GET /text`,
        `{"p":"/own","parity_local_address":"127.0.0.1:20001"}`,
        `127.0.0.1:20002 GET /other`
      ].join("\n")
    )
    assert.deepStrictEqual(logs.of(new Set([20001])), [
      `{"downstream_local_address":"127.0.0.1:20001","path":"/built-in"}`,
      "GET /text",
      `{"p":"/own"}`
    ])
    logs.forget()
    assert.deepStrictEqual(logs.of(new Set([20001, 20002])), [])
  }))

it("changes where an entry writes its lines, and nothing else of it", () =>
  withLogs((logs) => {
    const entry = { Kind: "proxy-defaults", Name: "global" }
    assert.deepStrictEqual(logs.redirected(entry), entry)
    assert.deepStrictEqual(logs.redirected({ ...entry, AccessLogs: { Enabled: true, TextFormat: "%PROTOCOL%" } }), {
      ...entry,
      AccessLogs: {
        Enabled: true,
        TextFormat: "%DOWNSTREAM_LOCAL_ADDRESS% %PROTOCOL%",
        Type: "file",
        Path: logs.path
      }
    })
  }))
