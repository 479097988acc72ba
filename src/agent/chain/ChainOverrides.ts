/** The body of a request for a compiled chain. Unknown keys are ignored here, other than elsewhere. */
import { Result, Schema } from "effect"
import * as ApiError from "../../consul/ApiError.ts"
import * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as GoDecode from "../GoDecode.ts"

export const decode = (text: string): Result.Result<DiscoveryChain.Overrides, ApiError.BadRequest> =>
  Result.gen(function*() {
    // Nothing at all is no overrides.
    const document = text.trim() === "" ? {} : yield* Result.mapError(GoDecode.parse(text), decoding)
    const schema = Schema.StructWithRest(DiscoveryChain.Overrides, [Schema.Record(Schema.String, Schema.Json)])
    const conformed = yield* Result.mapError(
      GoDecode.conform(schema, document, { snakeCase: true, weak: true }),
      (problems) =>
        decoding(
          `${problems.length} error(s) decoding:\n\n${
            problems.map((problem) =>
              problem._tag === "WrongType"
                ? `* error decoding '${problem.path}': time: invalid duration ${JSON.stringify(problem.actual)}`
                : `* ${problem.path}`
            ).join("\n")
          }`
        )
    )
    const overrides = yield* Result.mapError(
      Schema.decodeUnknownResult(DiscoveryChain.Overrides)(conformed),
      (error) => decoding(error.message)
    )
    const mode = overrides.OverrideMeshGateway?.Mode ?? ""
    return ["", "none", "local", "remote"].includes(mode)
      ? overrides
      : yield* Result.fail(new ApiError.BadRequest({ body: "Invalid OverrideMeshGateway.Mode parameter" }))
  })

const decoding = (reason: string) => new ApiError.BadRequest({ body: `Request decoding failed: ${reason}` })
