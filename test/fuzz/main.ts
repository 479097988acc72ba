/**
 * `npm run fuzz -- --minutes 5`: what is wrong with a codec shows in inputs that nobody thinks of. Prints every difference with the
 * seed that finds it again, and ends with 1 where there is one.
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import * as Codec from "./codec.ts"
import * as Hello from "./hello.ts"
import * as Mesh from "./mesh.ts"
import * as Relay from "./relay.ts"
import * as Xds from "./xds.ts"

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } }
})
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write("usage: npm run fuzz -- [--minutes NUMBER] [--seed INTEGER]\n")
  process.exit(1)
}

/** Each part gets its share of the time. */
const parts = 7
const until = (name: string): (runs: number) => boolean => {
  const end = performance.now() + minutes * 60_000 / parts
  let told = performance.now()
  return (runs) => {
    const now = performance.now()
    if (now - told > 10_000) {
      told = now
      process.stdout.write(`${name}: ${runs} inputs so far\n`)
    }
    return now > end
  }
}

const tell = (name: string, runs: number, more: string, differences: ReadonlyArray<string>): void => {
  process.stdout.write(`${name}, seed ${seed}: ${runs} inputs; ${more}, ${differences.length} wrong\n`)
  for (const difference of differences) process.stdout.write(`${difference}\n`)
  if (differences.length > 0) process.exitCode = 1
}

const codec = Codec.run(seed, until("codec"))
tell(
  "codec",
  codec.runs,
  `${codec.alike} requests read as Node reads them, ${codec.refused} refused that Node takes`,
  codec.differences
)
for (const [name, reader] of Object.entries(Mesh.readers)) {
  const { differences, runs, taken } = Mesh.run(reader, seed, until(name))
  tell(name, runs, `${taken} understood`, differences)
}
const relay = await Effect.runPromise(Relay.run(seed, until("relay")))
tell("relay", relay.runs, `${relay.requests} requests relayed`, relay.differences)
const hello = await Hello.run(seed, until("hello"))
tell(
  "hello",
  hello.runs,
  `${hello.agreed} names found as OpenSSL finds them, ${hello.refused} refused that it takes`,
  hello.differences
)
const xds = await Xds.run(seed, until("xds"))
tell("xds", xds.runs, `${xds.understood} understood all the same`, xds.differences)
