/** Opens the admin interface of a process of sidecars, or of a gateway. */
import { Effect, Option } from "effect"
import * as Address from "../../admin/Address.ts"
import type * as AdminServer from "../../admin/AdminServer.ts"
import type * as Fleet from "../../admin/Fleet.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type { Command } from "effect/cli"
import * as Listening from "../../net/Listening.ts"
import { version } from "../version.ts"
import * as Worker from "../workers/Worker.ts"
import type * as AdminFlags from "./AdminFlags.ts"
import * as PrintConfig from "./PrintConfig.ts"
import * as Registered from "./Registered.ts"

type Options = Command.Command.Config.Infer<typeof AdminFlags.flags> & Parameters<typeof PrintConfig.settings>[0]

/** Before the sidecars start, so that it can tell what they wait for. `servers`: who is asked in place of the agent. */
export const open = Effect.fnUntraced(function*(options: Options, fleet: Fleet.Fleet, servers?: string) {
  const worker = Worker.current
  const path = worker?.admin ?? undefined
  if (worker !== undefined && path === undefined) return
  const bind = path === undefined ? yield* bindOf(options) : { path, mode: 0o600, exclusive: true }
  if (bind === undefined) return
  const agent = servers ?? (yield* ConsulClient.ConsulClient).address
  const about = yield* aboutOf(options, agent)
  // Loaded here, so that a sidecar without it does not carry it around.
  const ThisProcess = yield* Effect.promise(() => import("../../admin/ThisProcess.ts"))
  const source = ThisProcess.source({ fleet, about })
  yield* path === undefined ? serve(options, bind, source) : listen({ bind, source })
})

/** What the process says of itself. */
export const aboutOf = (options: Options, agent: string) =>
  Effect.map(PrintConfig.settings(options), (settings) => ({
    version,
    agent,
    settings: settings.map(({ from, name, value }) => ({ name, value: value ?? null, from }))
  }))

/** Where the flags say. Undefined: there is to be none. */
export const bindOf = Effect.fnUntraced(function*(options: Options) {
  const { adminAllowRemote, adminTokenFile } = options
  const address = addressOf(options)
  if (address === undefined) {
    if (Option.isNone(adminTokenFile)) return undefined
    return yield* new Registered.UsageError({
      why: "--admin-token-file says who may change something: where? Add --admin-bind"
    })
  }
  return yield* Effect.mapError(
    Effect.fromResult(Address.parse(address.text, adminAllowRemote)),
    (why) => new Registered.UsageError({ why: `${address.flag} ${why}` })
  )
})

/** For operators, who are told where it is. */
export const serve = Effect.fnUntraced(function*(
  { adminTokenFile }: Options,
  bind: Listening.Bind,
  source: AdminServer.Source
) {
  const { bound } = yield* listen({ bind, source, tokenFile: Option.getOrUndefined(adminTokenFile) })
  yield* Effect.logInfo(
    `the admin interface answers at ${"path" in bound ? "unix:" : "http://"}${Listening.format(bound)}`
  )
})

const listen = (options: AdminServer.Options) =>
  Effect.flatMap(Effect.promise(() => import("../../admin/AdminServer.ts")), ({ make }) => make(options))

const addressOf = ({ adminBind, pprofAddr }: Options) =>
  Option.isSome(adminBind)
    ? { flag: "--admin-bind", text: adminBind.value }
    : Option.isSome(pprofAddr)
    ? { flag: "--pprof-addr", text: pprofAddr.value.replace(/^:/, "127.0.0.1:") }
    : undefined
