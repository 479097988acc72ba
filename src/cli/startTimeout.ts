/** How long a command waits for the things that it needs to start. */
import { Option } from "effect"
import { Flag } from "effect/cli"

/** Seconds. `forWhat` completes its description. */
export const startTimeout = (forWhat: string) =>
  Flag.Int("start-timeout").pipe(
    Flag.filterMap(
      (seconds) => seconds > 0 ? Option.some(seconds) : Option.none(),
      () => "a number of seconds above 0"
    ),
    Flag.withDescription(`Seconds to wait for ${forWhat} before giving up`),
    Flag.withDefault(60)
  )
