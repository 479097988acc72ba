/** Real Envoys as the sidecars of a mesh, told by a development agent over xDS. */
import { Effect, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Bootstrap from "../../src/cli/envoy/Bootstrap.ts"
import type * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as programs from "../support/programs.ts"
import * as temporary from "../support/temporary.ts"
import * as Ports from "./Ports.ts"
import * as Sidecars from "./Sidecars.ts"

export const make = (binary: string, agent: DevelopmentAgent.DevelopmentAgent): Sidecars.Sidecars => ({
  start: (id, ports) =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      const [admin = 0] = yield* Ports.free(1)
      const bootstrap = join(folder, "bootstrap.json")
      writeFileSync(
        bootstrap,
        JSON.stringify(Bootstrap.make({
          proxyId: `${id}-sidecar-proxy`,
          service: id,
          datacenter: agent.datacenter,
          grpc: { host: "127.0.0.1", port: agent.grpcPort ?? 0 },
          admin: { host: "127.0.0.1", port: admin },
          adminAccessLog: "/dev/null",
          token: ""
        }))
      )
      const log = process.env["ENVOY_LOGS"] ?? folder
      yield* programs.run(binary, [
        ...["-c", bootstrap, "--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "100"],
        ...["--drain-time-s", "1", "--drain-strategy", "immediate", "--log-path", join(log, `${id}.log`), "-l", "warn"]
      ])
      for (const port of ports) yield* Effect.retry(Sidecars.accepts(port), Sidecars.patience)
    }) as Effect.Effect<void, unknown, Scope.Scope>,
  settled: (patient) =>
    Effect.gen(function*() {
      // A listener that was replaced serves the connections that it has for a second more.
      const quiet = patient ? 2500 : 1300
      let since = performance.now()
      const started = since
      while (performance.now() - since < quiet && performance.now() - started < longest) {
        const { settled, told } = yield* agent.envoys
        if (settled < told) since = performance.now()
        yield* Effect.sleep("20 millis")
      }
    })
})

const longest = 15_000
