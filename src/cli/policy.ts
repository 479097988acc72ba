/** `effect-mesh policy`: exact answers about intentions, over all callers and all requests. */
import { Command } from "effect/cli"
import { check } from "./policy/check.ts"
import { diff } from "./policy/diff.ts"
import { explain } from "./policy/explain.ts"
import { lint } from "./policy/lint.ts"
import { matrix } from "./policy/matrix.ts"
import { verify } from "./policy/verify.ts"

export const policy = Command.make("policy").pipe(
  Command.withDescription(
    "Analyse intentions: who can reach whom, by which rule, what a change allows, and whether statements hold. Exact for " +
      "all callers and requests; every answer comes with a request that shows it."
  ),
  Command.withShortDescription("Analyse who may call whom"),
  Command.withSubcommands([check, matrix, explain, lint, diff, verify])
)
