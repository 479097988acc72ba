/**
 * What picking an instance costs, of 10, 100 and 1,000, some of them ejected. Runs alone too: `node test/bench/balancing.ts`.
 */
import { pathToFileURL } from "node:url"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import * as OutlierDetection from "../../src/balance/OutlierDetection.ts"
import { table } from "./table.ts"

const sizes = [10, 100, 1_000] as const

const policies = {
  "round robin": LoadBalancer.roundRobin,
  random: LoadBalancer.random,
  "least request": LoadBalancer.leastRequest(),
  "ring hash": LoadBalancer.ringHash(),
  maglev: LoadBalancer.maglev
} as const

const turns = 20_000
const rounds = 9

/** One balancer as a service has it: every tenth host is ejected, and hosts are asked how busy they are. */
const picker = (policy: LoadBalancer.Policy, size: number) => {
  const hosts = Array.from({ length: size }, (_, i) => ({ id: `node-${i % 7}/api-${i}`, weight: 1, active: i % 3 }))
  const byId = new Map(hosts.map((host) => [host.id, host]))
  const balancer = LoadBalancer.make<(typeof hosts)[number]>(policy)
  balancer.update(hosts)
  const outliers = OutlierDetection.make({ ...OutlierDetection.defaults, maxFailures: 1 }, 0)
  outliers.update(hosts.map(({ id }) => id))
  for (let i = 0; i < size; i += 10) outliers.report(hosts[i]!.id, false, 0, 0)
  return (turn: number) =>
    balancer.pick({
      random: Math.random,
      hash: Math.imul(turn, 2_654_435_761) >>> 0,
      active: (id) => byId.get(id)!.active,
      without: (id) => outliers.isEjected(id, 1)
    })
}

/** Nanoseconds for a pick, by size: medians over the rounds, which alternate between the sizes. */
const measure = (policy: LoadBalancer.Policy): ReadonlyArray<number> => {
  const pickers = sizes.map((size) => picker(policy, size))
  const samples = sizes.map((): Array<number> => [])
  for (let round = -2; round < rounds; round++) {
    pickers.forEach((pick, index) => {
      const start = process.hrtime.bigint()
      for (let turn = 0; turn < turns; turn++) if (pick(turn) === undefined) throw new Error("nobody was picked")
      const spent = Number(process.hrtime.bigint() - start) / turns
      if (round >= 0) samples[index]!.push(spent) // the first rounds only warm up
    })
  }
  return samples.map((each) => each.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!)
}

export interface Row {
  readonly policy: string
  readonly nanoseconds: ReadonlyArray<number>
}

export const run = (): ReadonlyArray<Row> =>
  Object.entries(policies).map(([policy, how]) => ({ policy, nanoseconds: measure(how) }))

export const format = (rows: ReadonlyArray<Row>): string =>
  table([
    ["policy", ...sizes.map((size) => `${size} hosts, ns`), "1,000 / 10"],
    ...rows.map(({ nanoseconds, policy }) => [
      policy,
      ...nanoseconds.map((each) => each.toFixed(0)),
      (nanoseconds.at(-1)! / nanoseconds[0]!).toFixed(2)
    ])
  ])

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${format(run())}\n`)
}
