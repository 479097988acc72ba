/**
 * `npm run parity`: plays what was recorded of Consul's own sidecars through ours, and says where they differ. Ends with 1 where
 * one does that is not meant to. `docs/parity.md`
 */
import { Effect, Logger } from "effect"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type * as Mesh from "./Mesh.ts"
import * as Recording from "./Recording.ts"
import * as Run from "./Run.ts"
import * as Table from "./Table.ts"
import * as Verdict from "./Verdict.ts"

const usage =
  `usage: npm run parity -- [--only TEXT] [--json FILE] [--strict] [--once] [--meshes N] [--proxy CMD | --envoy | --xds]
                              [--verbose]

Plays every scenario of test/fixtures/parity through sidecars of this project, and compares what clients,
applications and access logs see with what was recorded. Against a development agent; against a real one
where CONSUL_HTTP_ADDR names it, which then should have nothing else to do.

  --only TEXT    only scenarios whose area/name has this in it: --only mechanics/
  --json FILE    write every request with what was seen and where it differs
  --strict       compare the case of header names, and Envoy's marks of itself, too
  --once         do not play again what differed
  --meshes N     how many meshes play at once (default: 3 with a development agent)
  --proxy CMD    sidecars that CMD starts instead, NAME standing for the id of the instance in it
  --envoy        real Envoys instead, told by the development agent over xDS; ENVOY_BIN names the program
  --xds          sidecars of this project that hear everything over xDS, of the development agent, or of a real
                 Consul that CONSUL_BIN names
  --verbose      say everything: differences on purpose too, nothing shortened, logs of sidecars
  --help         this text
`

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    json: { type: "string" },
    strict: { type: "boolean", default: false },
    once: { type: "boolean", default: false },
    meshes: { type: "string", default: "3" },
    proxy: { type: "string" },
    envoy: { type: "boolean", default: false },
    xds: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}

const starter = (): Mesh.Starter => {
  if (values.envoy) return { _tag: "Envoys", binary: process.env["ENVOY_BIN"] ?? "envoy" }
  if (values.xds) return { _tag: "Fed", consul: process.env["CONSUL_BIN"] }
  return values.proxy === undefined ? { _tag: "Ours" } : { _tag: "Command", command: values.proxy }
}

const scenarios = Recording.scenarios().filter((scenario) => Recording.titleOf(scenario).includes(values.only))
const started = performance.now()
const run = Run.run(scenarios, {
  strict: values.strict,
  again: !values.once,
  meshes: Number(values.meshes),
  starter: starter(),
  said: (line) => process.stderr.write(`${line}\n`)
})
const quietly = values.verbose ? Effect.scoped(run) : Effect.provide(Effect.scoped(run), Logger.layer([]))
const { again, verdicts } = await Effect.runPromise(quietly)

const shown = verdicts.filter((it) => Verdict.isBad(it) || (values.verbose && it.outcome === "on purpose"))
const seconds = Math.round((performance.now() - started) / 1000)
process.stdout.write(
  `${Table.table(verdicts)}\n\n${shown.map((it) => `${Table.details(it, values.verbose)}\n`).join("")}` +
    `\n${seconds} seconds; ${again} of ${scenarios.length} scenarios were equal only when they were played again\n`
)
if (values.json !== undefined) {
  const requests = verdicts.map(({ scenario, ...rest }) => ({ scenario: Recording.titleOf(scenario), ...rest }))
  writeFileSync(values.json, `${JSON.stringify(requests, undefined, 1)}\n`)
}
if (verdicts.length === 0 || verdicts.some(Verdict.isBad)) process.exitCode = 1
