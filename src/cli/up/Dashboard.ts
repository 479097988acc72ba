/** The dashboard of the mesh: who calls whom, and who may. Under a development agent intentions can be changed there. */
import { Effect, Schema } from "effect"
import * as Address from "../../admin/Address.ts"
import * as AdminServer from "../../admin/AdminServer.ts"
import type * as Fleet from "../../admin/Fleet.ts"
import * as ThisProcess from "../../admin/ThisProcess.ts"
import * as Listening from "../../net/Listening.ts"
import { version } from "../version.ts"
import type * as Mesh from "./Mesh.ts"

export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { why: Schema.String }) {
  override readonly message = this.why
}

export const address = (text: string): Effect.Effect<Listening.Bind, UsageError> =>
  Effect.mapError(
    Effect.fromResult(Address.parse(text, false)),
    (why) => new UsageError({ why: `--admin-bind ${why}` })
  )

/** Returns where it is. */
export const open = Effect.fnUntraced(function*({ agent, consul, sidecars }: Mesh.Mesh, bind: Listening.Bind) {
  const { bound } = yield* AdminServer.make({
    bind,
    source: ThisProcess.source({
      fleet: { members: () => members(sidecars) },
      about: { version, agent: consul.address, settings: [] },
      intentions: agent === undefined ? undefined : consul
    })
  })
  return "path" in bound ? `unix:${bound.path}` : `http://${Listening.format(bound)}/mesh`
})

/** By their services; of several for one, the others by the IDs of their proxies. */
const members = (sidecars: Mesh.Mesh["sidecars"]): ReadonlyArray<Fleet.Member> => {
  const taken = new Set<string>()
  return sidecars.map(({ identity, sidecar }) => {
    const name = taken.has(identity.service) ? sidecar.status().registration.proxyId : identity.service
    taken.add(name)
    return { name, sidecar }
  })
}
