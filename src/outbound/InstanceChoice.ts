/** In which order the instances of a target are tried. */
import type * as Endpoints from "../watch/Endpoints.ts"

/**
 * The healthy instances in a random order in which each position is drawn by weight, so that the first one carries its
 * share of the traffic and the rest stand by. `random` gives numbers from 0 up to but not including 1.
 */
export const order = (
  endpoints: ReadonlyArray<Endpoints.Endpoint>,
  random: () => number
): ReadonlyArray<Endpoints.Endpoint> => {
  const left = endpoints.filter((endpoint) => endpoint.weight > 0)
  const ordered: Array<Endpoints.Endpoint> = []
  let total = left.reduce((sum, endpoint) => sum + endpoint.weight, 0)
  while (left.length > 0) {
    let point = random() * total
    let index = 0
    while (index < left.length - 1 && point >= left[index]!.weight) point -= left[index++]!.weight
    const [drawn] = left.splice(index, 1)
    total -= drawn!.weight
    ordered.push(drawn!)
  }
  return ordered
}
