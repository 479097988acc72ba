/**
 * `npm run fuzz -- --minutes 5`: what is wrong with a codec shows in inputs that nobody thinks of. Prints every difference with the
 * seed that finds it again, and ends with 1 where there is one.
 */
import { parseArgs } from "node:util"
import * as Codec from "./codec.ts"

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } }
})
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write("usage: npm run fuzz -- [--minutes NUMBER] [--seed INTEGER]\n")
  process.exit(1)
}

const end = performance.now() + minutes * 60_000
let told = performance.now()
const isOver = (runs: number): boolean => {
  const now = performance.now()
  if (now - told > 10_000) {
    told = now
    process.stdout.write(`codec: ${runs} inputs so far\n`)
  }
  return now > end
}

const { alike, differences, refused, runs } = Codec.run(seed, isOver)
process.stdout.write(
  `codec, seed ${seed}: ${runs} inputs; ${alike} requests read as Node reads them, ${refused} refused that Node takes, ` +
    `${differences.length} read otherwise\n`
)
for (const difference of differences) process.stdout.write(`${difference}\n`)
if (differences.length > 0) process.exitCode = 1
