/** Prints how many bytes are left of 40,000 things of 1 KB, of which ten are there at a time, when only the young are collected. */
import * as Turnover from "../../../src/net/Turnover.ts"

const set = process.argv[2] === "plain" ? new Set<object>() : new Turnover.TurnoverSet<object>()
const live: Array<object> = []
const turn = () => {
  const one = { bytes: Array.from({ length: 128 }, () => 0) }
  live.push(one)
  set.add(one)
  if (live.length > 10) set.delete(live.shift()!)
}

for (let i = 0; i < 10; i++) turn()
void gc?.() // what is there is old from now on
const before = process.memoryUsage().heapUsed
for (let i = 0; i < 40_000; i++) turn()
void gc?.({ type: "minor" })
process.stdout.write(String(process.memoryUsage().heapUsed - before))
