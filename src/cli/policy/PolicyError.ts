/** Why a question about a policy has no answer. */
import { Runtime, Schema } from "effect"

/** The policy cannot be read, or the question makes no sense: nothing was analysed. Exit code 1. */
export class PolicyError extends Schema.TaggedError<PolicyError>()("PolicyError", { why: Schema.String }) {
  override readonly message = this.why
}

/** Exit code of `Incomplete`. */
export const incomplete = 3

/** A part of the policy could not be read, and the missing part could reverse every answer. Exit code 3. */
export class Incomplete extends Schema.TaggedError<Incomplete>()("Incomplete", {
  missing: Schema.Array(Schema.String)
}) {
  override readonly message = [
    "not everything could be read, so nothing is answered:",
    ...this.missing.map((sentence) => `  ${sentence}`)
  ].join("\n")
  override readonly [Runtime.errorExitCode] = incomplete
}
