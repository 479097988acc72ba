/** `effect-mesh check`: whether all is in order that a proxy needs. */
import { Console, Duration, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Settings from "../consul/Settings.ts"
import * as Examination from "./check/Examination.ts"
import * as Finding from "./check/Finding.ts"
import * as Consul from "./consul.ts"
import * as Log from "./Log.ts"
import * as Answer from "./policy/Answer.ts"
import * as Flags from "./proxy/Flags.ts"

export const check = Command.make(
  "check",
  {
    ...Flags.flags,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    timeout: Flag.Finite("timeout").pipe(
      Flag.filterMap(
        (seconds) => seconds > 0 ? Option.some(Duration.seconds(seconds)) : Option.none(),
        () => "a number of seconds above 0"
      ),
      Flag.withDescription("Seconds for each question to the agent, and for each handshake"),
      Flag.withMetavar("SECONDS"),
      Flag.withDefault(Duration.seconds(5))
    )
  },
  Effect.fn("cli.check")(function*({ json, timeout, ...proxy }) {
    const settings = yield* Settings.fromEnvironment(Consul.settings(proxy))
    const sections = yield* Examination.make({
      proxy,
      settings,
      within: timeout,
      tell: (section) => json ? Effect.void : Console.log(`${Finding.format(section)}\n`)
    }).pipe(Effect.provide(Layer.mergeAll(Consul.layer(proxy), Log.layer(proxy))))
    const isBroken = Finding.count(sections, "broken") > 0
    return yield* Answer.give(
      json ? JSON.stringify({ ok: !isBroken, sections }, undefined, 2) : Finding.summary(sections),
      isBroken ? Answer.unwelcome : 0
    )
  })
).pipe(
  Command.withDescription(
    "Look at all that a proxy needs, and say what is wrong and what to do: the agent, its clock and the token; registration " +
      "and health; certificates; ports; intentions; and each upstream, with a handshake to each of its instances. Takes the command " +
      "line of the proxy, its variables and its file. Nothing is changed, and the proxy need not run. Exit codes: 0 all in order, " +
      "1 error in the call, 2 something is broken."
  ),
  Command.withShortDescription("Find out what a sidecar lacks"),
  Command.withExamples([
    { command: "effect-mesh check --sidecar-for web", description: "Beside the proxy, with its token" },
    { command: "effect-mesh check --config proxy.yaml --json", description: "For programs" }
  ])
)
