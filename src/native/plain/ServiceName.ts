/** The names that programs give to services. */
import { Effect, Result } from "effect"
import * as MeshUrl from "../../outbound/MeshUrl.ts"
import * as Resolver from "../../outbound/Resolver.ts"

/** How to reach it: a service, or a prepared query. */
export const resolver = (name: string): Effect.Effect<Resolver.Resolver, TypeError> =>
  Effect.mapError(Effect.fromResult(Resolver.parse(name)), ({ why }) => notCallable(name, why))

/** The service that must answer, where the name alone says so. */
export const service = (name: string): Result.Result<Resolver.Request, TypeError> =>
  MeshUrl.parse(name).pipe(
    Result.flatMap((named) =>
      named._tag === "Service"
        ? Result.succeed(named)
        : Result.fail("who answers for a prepared query is known to it alone")
    ),
    Result.mapError((why) => notCallable(name, why))
  )

const notCallable = (name: string, why: string): TypeError =>
  new TypeError(`${JSON.stringify(name)} can not be called: ${why}`)
