/** How many processes share the work. */
import { availableParallelism } from "node:os"
import { Option } from "effect"
import { Flag } from "effect/cli"

/** More would only watch the agent. */
const most = 64

export const flags = {
  workers: Flag.String("workers").pipe(
    Flag.filterMap(
      (text) => {
        if (text === "auto") return Option.some(Math.min(most, availableParallelism()))
        const count = Number(text)
        return /^\d+$/.test(text) && count >= 1 && count <= most ? Option.some(count) : Option.none()
      },
      () => `a number of processes from 1 to ${most}, or auto`
    ),
    Flag.withDescription(
      "Processes that share the ports, each on a core of its own; auto: one for each core; default: 1"
    ),
    Flag.withMetavar("COUNT"),
    Flag.withDefault(1)
  )
}
