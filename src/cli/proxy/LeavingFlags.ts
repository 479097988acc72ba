/** How a sidecar leaves: for how long it serves callers that have yet to hear of it, and what is open. */
import { Duration, Option } from "effect"
import { Flag } from "effect/cli"

const seconds = (name: string, description: string, byDefault: number) =>
  Flag.Finite(name).pipe(
    Flag.filterMap(
      (value) => value >= 0 ? Option.some(Duration.seconds(value)) : Option.none(),
      () => "a number of seconds from 0 on"
    ),
    Flag.withDescription(description),
    Flag.withMetavar("SECONDS"),
    Flag.withDefault(Duration.seconds(byDefault))
  )

export const flags = {
  shutdownDelay: seconds(
    "shutdown-delay",
    "Once it is to stop: seconds to go on accepting, in maintenance mode at the agent; 0: neither; default: 2",
    2
  ),
  drainTimeout: seconds(
    "drain-timeout",
    "After that: seconds for open connections and requests to finish, before they are cut; default: 10",
    10
  )
}
