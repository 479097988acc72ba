/** What a fault did to the calls that went on meanwhile. */
import type * as Traffic from "../support/traffic.ts"

const quantile = (sorted: ReadonlyArray<number>, share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)

/** A line on standard output. */
export const tell = (what: string, { failures, latencies, sent }: Traffic.Report): void => {
  const sorted = latencies.toSorted((a, b) => a - b)
  process.stdout.write(
    `${what}: ${sent} calls, ${failures.length} failed; ${quantile(sorted, 0.5)} ms in the middle, ` +
      `${quantile(sorted, 0.99)} ms for 99 of 100, ${quantile(sorted, 1)} ms at most\n`
  )
}
