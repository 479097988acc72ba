/**
 * Our decoder beside Node's. What we read as a request Node must read as the same request: one that we refuse is none, one that we
 * read differently is a way to smuggle.
 */
import * as H1 from "../support/h1.ts"
import * as Generate from "./generate.ts"

export interface Outcome {
  readonly runs: number
  /** Requests that both read alike. */
  readonly alike: number
  /** Requests that Node reads and we refuse. */
  readonly refused: number
  readonly differences: ReadonlyArray<string>
}

/** Which fault is found first depends on what is there. */
const same = ({ fault, requests }: H1.Read): string => JSON.stringify([requests, fault !== undefined])

const sizes = (bytes: Buffer, next: Generate.Random): ReadonlyArray<Buffer> => {
  const at = Math.floor(next() * bytes.length)
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

/** Until `isOver`, or the first hundred differences. */
export const run = (seed: number, isOver: (runs: number) => boolean): Outcome => {
  const next = Generate.random(seed)
  const differences: Array<string> = []
  let [runs, alike, refused] = [0, 0, 0]
  for (; !isOver(runs) && differences.length < 100; runs++) {
    const bytes = Generate.requests(next)
    const ours = H1.ours([bytes])
    const inPieces = H1.ours(sizes(bytes, next))
    const nodes = H1.nodes(bytes)
    const wrong = ours.requests.findIndex((request, i) => nodes.requests[i] !== request)
    if (wrong >= 0) {
      differences.push(
        `${JSON.stringify(bytes.toString("latin1"))}\n  ours: ${ours.requests[wrong]}\n  Node's: ${
          nodes.requests[wrong] ?? nodes.fault ?? "nothing"
        }`
      )
    }
    if (same(ours) !== same(inPieces)) {
      differences.push(`${JSON.stringify(bytes.toString("latin1"))} reads differently in pieces`)
    }
    alike += wrong < 0 ? ours.requests.length : wrong
    refused += Math.max(0, nodes.requests.length - ours.requests.length)
  }
  return { runs, alike, refused, differences }
}
