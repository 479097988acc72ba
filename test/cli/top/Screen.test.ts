import { assert, describe, it } from "@effect/vitest"
import * as Overview from "../../../src/cli/top/Overview.ts"
import type * as Reading from "../../../src/cli/top/Reading.ts"
import * as Screen from "../../../src/cli/top/Screen.ts"
import { type Given, reading } from "./readings.ts"

const screen = (
  before: Given,
  now: Given,
  options: Partial<Screen.Options> = {},
  header: Partial<Screen.Header> = {}
) => {
  const [first, last]: [Reading.Reading, Reading.Reading] = [reading(before), reading({ at: 10_000, ...now })]
  const { body, top } = Screen.render(
    {
      address: "127.0.0.1:19000",
      configuration: last.configuration,
      now: 3_600_000,
      stale: undefined,
      paused: undefined,
      ...header
    },
    Overview.make(first, last),
    { color: false, width: 200, ...options }
  )
  return [...top, ...body]
}

const has = (lines: ReadonlyArray<string>, ...expected: ReadonlyArray<RegExp>) => {
  for (const line of expected) assert.isTrue(lines.some((each) => line.test(each)), `${line} in\n${lines.join("\n")}`)
}

describe("the screen of top", () => {
  it("tells how fast and how well callers and upstreams are served", () => {
    const lines = screen(
      {
        requests: { "200": 100, "404": 0, "503": 0 },
        durations: { "0.01": 100, "0.1": 100, "+Inf": 100 },
        accepted: 10
      },
      {
        requests: { "200": 250, "404": 30, "503": 20 },
        durations: { "0.01": 200, "0.1": 300, "+Inf": 300 },
        accepted: 30,
        failed: 5,
        connections: { a: 5000, b: 1_000_000 },
        instances: [{ healthy: true }, { healthy: true, ejected: true }, { healthy: false }]
      }
    )
    has(
      lines,
      /^effect-mesh top · 127.0.0.1:19000 · version 0.1.0 · pid 7 · up 60 min · agent http:\/\/127.0.0.1:8500$/,
      /^1 ready · 9 watches current$/,
      /^● api {2}api-sidecar-proxy · leaf 2 days · root 90 days$/,
      /^ {2}◀ web +0 +20 +10 ms +91 ms +10 % +0 B +0 B$/,
      /^ {2}◀ db +2 +0\.2 +– +– +– +101 kB +201 kB$/,
      /^ {2}▶ log +127.0.0.1:9191 +1\/3 ejected +2 +2\.0 +– +– +25 % +0 B +0 B$/
    )
  })

  it("counts of open connections only what came since", () => {
    has(screen({ connections: { a: 4000 } }, { connections: { a: 6000 } }), /◀ db +1 +0 +– +– +– +200 B +400 B$/)
  })

  it("names what is wrong", () => {
    const lines = screen(
      { refusals: 3 },
      {
        refusals: 8,
        problems: ["public: cannot listen"],
        leafSeconds: -120,
        state: "Failed",
        stale: 7,
        absent: ["billing"],
        instances: []
      },
      {},
      { stale: "cannot read the admin interface", paused: true }
    )
    has(
      lines,
      /^0 of 2 ready · 7 of 9 watches without an answer · q quits, .* · PAUSED$/,
      /^cannot read the admin interface$/,
      /^✗ billing$/,
      /^ {4}it starts$/,
      /^✗ api .*leaf expired 2 min ago/,
      /^ {4}public: cannot listen$/,
      /^ {4}Failed: the address is in use$/,
      /▶ log .* no instance /,
      /^ {2}✗ ops → api refused by \* → api \(precedence 8\): 8 \(0\.5 a second\)$/,
      /^ {2}! the leaf certificate of s0, for 65 s: the agent|^ {2}! the leaf certificate of s0, for 1 min: the agent/,
      /^ {2}! and 2 more$/
    )
  })

  it.each([200, 130, 124, 101, 83, 40, 1])("fits into %d columns, and keeps what matters most", (width) => {
    const lines = screen({}, { connections: { a: 1 }, refusals: 1, stale: 9 }, { width }, { paused: false })
    for (const line of lines) assert.isAtMost([...line].length, width)
    const titles = lines.find((line) => line.includes("SERVICE"))
    assert.strictEqual(titles?.includes("SENT/S") ?? false, width >= 102)
    assert.strictEqual(titles?.includes("P50") ?? false, width >= 84)
    if (width >= 83) assert.include(titles, "WRONG")
  })

  it("has colours where they are wanted, and lets nobody else steer the terminal", () => {
    const evil = { problems: ["\u001b[2J\u0007gone"] }
    assert.isFalse(screen({}, evil).some((line) => /\p{Cc}/u.test(line)))
    const colored = screen({}, evil, { color: true }).join("\n")
    assert.include(colored, "\u001b[31m     [2J gone\u001b[0m")
  })
})
