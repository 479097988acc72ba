/** Opens the admin interface of a process of sidecars, or of a gateway. */
import { Effect, Option } from "effect"
import * as Address from "../../admin/Address.ts"
import type * as Fleet from "../../admin/Fleet.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type { Command } from "effect/cli"
import * as Listening from "../../net/Listening.ts"
import { version } from "../version.ts"
import type * as AdminFlags from "./AdminFlags.ts"
import * as PrintConfig from "./PrintConfig.ts"
import * as Registered from "./Registered.ts"

type Options = Command.Command.Config.Infer<typeof AdminFlags.flags> & Parameters<typeof PrintConfig.settings>[0]

/** Before the sidecars start, so that it can tell what they wait for. `servers`: who is asked in place of the agent. */
export const open = Effect.fnUntraced(function*(options: Options, fleet: Fleet.Fleet, servers?: string) {
  const { adminAllowRemote, adminTokenFile } = options
  const address = addressOf(options)
  if (address === undefined) {
    if (Option.isNone(adminTokenFile)) return
    return yield* new Registered.UsageError({
      why: "--admin-token-file says who may change something: where? Add --admin-bind"
    })
  }
  const bind = yield* Effect.mapError(
    Effect.fromResult(Address.parse(address.text, adminAllowRemote)),
    (why) => new Registered.UsageError({ why: `${address.flag} ${why}` })
  )
  const agent = servers ?? (yield* ConsulClient.ConsulClient).address
  // Loaded here, so that a sidecar without it does not carry it around.
  const AdminServer = yield* Effect.promise(() => import("../../admin/AdminServer.ts"))
  const { bound } = yield* AdminServer.make({
    bind,
    fleet,
    tokenFile: Option.getOrUndefined(adminTokenFile),
    about: {
      version,
      agent,
      settings: (yield* PrintConfig.settings(options)).map(({ from, name, value }) => ({
        name,
        value: value ?? null,
        from
      }))
    }
  })
  yield* Effect.logInfo(
    `the admin interface answers at ${"path" in bound ? "unix:" : "http://"}${Listening.format(bound)}`
  )
})

const addressOf = ({ adminBind, pprofAddr }: Options) =>
  Option.isSome(adminBind)
    ? { flag: "--admin-bind", text: adminBind.value }
    : Option.isSome(pprofAddr)
    ? { flag: "--pprof-addr", text: pprofAddr.value.replace(/^:/, "127.0.0.1:") }
    : undefined
