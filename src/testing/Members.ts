/** The services of a mesh for tests. Each joins once, and stays until the mesh ends. */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as HttpListener from "../inbound/http/HttpListener.ts"
import * as Mesh from "../mesh/Mesh.ts"
import * as Attempt from "./Attempt.ts"

export type Member = Context.Context<Mesh.Mesh>

export interface Members {
  readonly join: (service: string) => Effect.Effect<Member, Attempt.TestMeshError>
  /** By service: those that have joined. */
  readonly joined: ReadonlyMap<string, Member>
}

export const make: Effect.Effect<Members, never, ConsulClient.ConsulClient | Scope.Scope> = Effect.gen(function*() {
  const consul = yield* ConsulClient.ConsulClient
  const scope = yield* Effect.scope
  const members = new Map<string, Member>()

  const join = Effect.fnUntraced(function*(service: string) {
    const known = members.get(service)
    if (known !== undefined) return known
    const joined = yield* Layer.buildWithScope(Mesh.layer({ service }), scope).pipe(
      Effect.provideService(ConsulClient.ConsulClient, consul),
      Effect.mapError(Attempt.failed(`let ${service} join`)),
      // What is made of it is as real as its sockets and certificates.
      Effect.map((mesh) =>
        mesh.pipe(Context.add(Clock.Clock, Attempt.realTime), Context.add(HttpListener.TellsReasons, true))
      )
    )
    members.set(service, joined)
    return joined
  }, Attempt.inRealTime)

  return { join, joined: members }
})
