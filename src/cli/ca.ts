/** `effect-mesh ca`: what signs for the mesh, as Consul's `connect ca` shows and changes it. */
import { Console, Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { readFile } from "node:fs/promises"
import * as CertificateAuthority from "../consul/CertificateAuthority.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Consul from "./consul.ts"

/** What was given as a configuration is none. */
export class InvalidFile extends Schema.TaggedError<InvalidFile>()("InvalidFile", {
  file: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.file} ${this.why}. effect-mesh ca get-config prints one to start from`
}

/** A change may have to wait for a provider that signs elsewhere. */
const patience = "60 seconds"

const getConfig = Command.make(
  "get-config",
  Consul.flags,
  Effect.fn("cli.ca.get")(function*(_options: Consul.Flags) {
    const consul = yield* ConsulClient.ConsulClient
    const { body } = yield* consul.call(
      "GET /v1/connect/ca/configuration",
      (api) => api.connect.caConfiguration({ query: {} })
    )
    yield* Console.log(JSON.stringify(body, undefined, "\t"))
  }, (effect, options) => Effect.provide(effect, Consul.layer(options)))
).pipe(
  Command.withDescription(
    "Print the configuration of the certificate authority. It may hold a secret, such as the token of Vault. The token " +
      "needs operator:write."
  ),
  Command.withShortDescription("Print what signs for the mesh")
)

const setConfig = Command.make(
  "set-config",
  {
    ...Consul.flags,
    configFile: Flag.String("config-file").pipe(
      Flag.withDescription("JSON file with Provider and Config"),
      Flag.withMetavar("FILE")
    ),
    force: Flag.Boolean("force-without-cross-signing").pipe(
      Flag.withDescription(
        "Go ahead although what signs now cannot vouch for the next root: connections fail until every peer has heard of it"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fn("cli.ca.set")(function*(options) {
    const update = yield* read(options.configFile)
    const consul = yield* ConsulClient.ConsulClient
    yield* consul.call(
      "PUT /v1/connect/ca/configuration",
      (api) =>
        api.connect.setCaConfiguration({
          query: {},
          payload: { ...update, ForceWithoutCrossSigning: options.force }
        }),
      patience
    )
    yield* Console.log("Configuration updated!")
  }, (effect, options) => Effect.provide(effect, Consul.layer(options)))
).pipe(
  Command.withDescription(
    "Change what signs for the mesh. Another provider, or another kind of key, brings another root: the one before vouches " +
      "for it, every leaf is issued again, and both roots are trusted until no leaf of before is left. The token needs " +
      "operator:write."
  ),
  Command.withShortDescription("Change what signs for the mesh")
)

const read = Effect.fnUntraced(function*(file: string) {
  const text = yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) =>
      new InvalidFile({ file, why: `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
  return yield* Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(CertificateAuthority.ConfigurationUpdate))(text),
    () => new InvalidFile({ file, why: "is no configuration: it has to be a JSON object with Provider and Config" })
  )
})

export const ca = Command.make("ca").pipe(
  Command.withDescription(
    "The certificate authority of the mesh: which provider signs, and with what settings. As Consul's connect ca."
  ),
  Command.withShortDescription("Show or change what signs for the mesh"),
  Command.withSubcommands([getConfig, setConfig]),
  Command.withExamples([
    { command: "effect-mesh ca get-config", description: "Provider and settings, as JSON" },
    { command: "effect-mesh ca set-config --config-file vault.json", description: "Let Vault sign from now on" }
  ])
)
