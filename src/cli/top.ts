/** `effect-mesh top`: what a running sidecar does, live in a terminal. */
import { Clock, Config, Console, Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Address from "../admin/Address.ts"
import * as Abilities from "./policy/Terminal.ts"
import { UsageError } from "./proxy/Registered.ts"
import * as Overview from "./top/Overview.ts"
import * as Reading from "./top/Reading.ts"
import * as Screen from "./top/Screen.ts"
import * as Viewer from "./top/Viewer.ts"

export const top = Command.make(
  "top",
  {
    interval: Flag.Finite("interval").pipe(
      Flag.filterMap(
        (seconds) => seconds >= 0.1 ? Option.some(Duration.seconds(seconds)) : Option.none(),
        () => "a number of seconds from 0.1 on"
      ),
      Flag.withDescription("Seconds between two looks"),
      Flag.withMetavar("SECONDS"),
      Flag.withDefault(Duration.seconds(1))
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Look twice, print, and end, as without a terminal"),
      Flag.withDefault(false)
    ),
    address: Argument.String("address").pipe(
      Argument.withDescription("What the sidecar was given as --admin-bind; default: EFFECT_MESH_ADMIN_BIND"),
      Argument.optional
    )
  },
  Effect.fn("cli.top")(function*({ address, interval, once }) {
    const source = yield* Reading.make(yield* bindOf(address))
    const live = process.stdout.isTTY === true && process.stdin.isTTY === true && !once
    yield* live
      ? Viewer.watch(source, interval, Abilities.of(process.stdout, process.env).color)
      : print(source, interval)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Show what the sidecars of a running process do, live: who calls and who is called, how fast and how well, who is refused by " +
      "which rule, how long certificates have left, and whether the agent answers. Reads the admin interface, and changes nothing."
  ),
  Command.withShortDescription("Watch a running sidecar"),
  Command.withExamples([
    { command: "effect-mesh top 127.0.0.1:19000", description: "For effect-mesh proxy --admin-bind 127.0.0.1:19000" },
    { command: "effect-mesh top unix:/run/mesh/admin.sock --once", description: "One look, for scripts" }
  ])
)

const bindOf = Effect.fnUntraced(function*(given: Option.Option<string>) {
  const text = Option.isSome(given)
    ? given
    : yield* Config.option(Config.String("EFFECT_MESH_ADMIN_BIND"))
  if (Option.isNone(text)) {
    return yield* new UsageError({ why: "which sidecar? Give what it has as --admin-bind, such as 127.0.0.1:19000" })
  }
  return yield* Effect.mapError(
    Effect.fromResult(Address.parse(text.value, true)),
    (why) => new UsageError({ why: `the address ${why}` })
  )
})

/** Everything, once, with the rates between two looks. */
const print = Effect.fnUntraced(function*(source: Reading.Source, interval: Duration.Duration) {
  const before = yield* source.read
  yield* Effect.sleep(interval)
  const after = yield* source.read
  const { color, width } = Abilities.of(process.stdout, process.env)
  const { body, top } = Screen.render(
    {
      address: source.address,
      configuration: after.configuration,
      now: yield* Clock.currentTimeMillis,
      stale: undefined,
      paused: undefined
    },
    Overview.make(before, after),
    { color, width: process.stdout.isTTY === true ? width : Number.POSITIVE_INFINITY }
  )
  yield* Console.log([...top, ...body].join("\n"))
})
