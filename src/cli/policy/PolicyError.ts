/** Why a question about a policy has no answer. */
import { Schema } from "effect"

/** The policy can not be read, or the question makes no sense: nothing was analysed. Exit code 1. */
export class PolicyError extends Schema.TaggedError<PolicyError>()("PolicyError", { why: Schema.String }) {
  override readonly message = this.why
}
