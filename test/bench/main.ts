/**
 * Every benchmark, one after the other: `npm run bench`. Names as arguments run those only. Flags come after them, and are said in
 * `flags.ts`: `npm run bench -- http --profile`, `npm run bench -- relay http --json figures.json`. Figures for programs are those of `relay`
 * and `http`, which compare with the proxies of others, and of `streams`.
 */
import * as Authorization from "./authorization.ts"
import * as Authorize from "./authorize.ts"
import * as Balancing from "./balancing.ts"
import * as BulkHttp from "./bulk-http.ts"
import * as Chaos from "./chaos.ts"
import * as Comparison from "./comparison.ts"
import * as Deny from "./deny.ts"
import * as Flags from "./flags.ts"
import * as Http from "./http.ts"
import * as HttpChanges from "./http-changes.ts"
import * as Policy from "./policy.ts"
import * as NativeHttp from "./native-http.ts"
import * as Relay from "./relay.ts"
import * as Routing from "./routing.ts"
import * as Rotation from "./rotation.ts"
import * as Services from "./services.ts"
import * as Start from "./start.ts"
import * as Streams from "./streams.ts"
import * as Watches from "./watches.ts"
import * as Xds from "./xds.ts"

const flags = Flags.parse(process.argv.slice(2))

const benchmarks: Readonly<
  Record<string, readonly [title: string, run: () => Promise<string | Comparison.Report>]>
> = {
  authorization: [
    "One authorization, beside a Map lookup",
    () => Promise.resolve(Authorization.format(Authorization.run()))
  ],
  balancing: [
    "Picking an instance of 10, 100 and 1,000, a tenth of them ejected",
    () => Promise.resolve(Balancing.format(Balancing.run()))
  ],
  routing: [
    "Finding the route of a request, of 10, 100 and 1,000",
    () => Promise.resolve(Routing.format(Routing.run()))
  ],
  authorize: [
    "New connections where the agent is asked about each, beside intentions that are watched",
    async () => Authorize.format(await Authorize.run())
  ],
  policy: ["Looking through the policy of a whole mesh", () => Promise.resolve(Policy.format(Policy.run()))],
  "native-http": [
    "A native service called by another: https + undici by hand, Effect over them, the mesh, two sidecars",
    async () => NativeHttp.format(await NativeHttp.run())
  ],
  deny: [
    "Connections of a caller that is not allowed any more, until it sees their end",
    async () => Deny.format(await Deny.run())
  ],
  watches: [
    "200 services of one process hear that a caller is not allowed any more",
    async () => Watches.format(await Watches.run())
  ],
  xds: [
    "An agent of 1,000 services tells 200 Envoys what has changed",
    async () => Xds.format(await Xds.run(Xds.full))
  ],
  services: [
    "Sidecars of 1, 11 and 51 services in one process: memory at rest, time to ready",
    async () => Services.format(await Services.run(Services.full))
  ],
  start: [
    "The packed sidecar, Envoy and Consul's built-in proxy: from the start until they accept, and at rest",
    () => Start.main(flags)
  ],
  rotation: [
    "1,000 requests a second while root and leaves are replaced",
    async () => Rotation.format(await Rotation.run())
  ],
  streams: [
    "10,000 connections in one tunnel, and a caller that is denied",
    async () => {
      const result = await Streams.run()
      return { text: Streams.format(result), data: result }
    }
  ],
  relay: [
    "Bytes through a pair: sidecars, Envoy, HAProxy, Consul's own proxy, plain node:tls and node:net",
    () => Relay.main(flags)
  ],
  chaos: [
    "10,000 requests to instances that fail, hang up and die, with retries",
    async () => Chaos.format(await Chaos.run(Chaos.full))
  ],
  "http-changes": [
    "500 requests a second while entries, certificates and the agent change",
    async () => HttpChanges.format(await HttpChanges.run(HttpChanges.full))
  ],
  "bulk-http": [
    "1 GiB up and down through two sidecars, and what is held of it",
    async () => BulkHttp.format(await BulkHttp.full())
  ],
  http: [
    "HTTP through a pair: sidecars, Envoy as Consul configures it, HAProxy, plain node:http",
    () => Http.main(flags)
  ]
}

const unknown = flags.names.filter((name) => !(name in benchmarks))
if (unknown.length > 0) {
  throw new Error(`there is no benchmark ${unknown.join(", ")}; there are ${Object.keys(benchmarks).join(", ")}`)
}
const figures: Record<string, object> = {}
for (const [name, [title, run]] of Object.entries(benchmarks)) {
  if (flags.names.length > 0 && !flags.names.includes(name)) continue
  const report = await run()
  process.stdout.write(`\n${title}\n\n${typeof report === "string" ? report : report.text}\n`)
  if (typeof report === "string" || flags.json === undefined) continue
  figures[name] = report.data
  Comparison.write(flags.json, figures)
}
