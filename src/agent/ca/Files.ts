/**
 * The provider `files`: an authority that somebody else has made, and keeps current in files. `CertFile` begins with the
 * certificate that signs leaves; the authorities above it, up to the root, follow there or stand in `ChainFile`. `KeyFile` has
 * its key.
 *
 * The files are read when the provider is configured, and again when it rotates.
 */
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import * as CaConfiguration from "../CaConfiguration.ts"
import * as Authorities from "./Authorities.ts"
import * as KeyHolder from "./KeyHolder.ts"
import * as Provider from "./Provider.ts"

export const make = (
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration
): Effect.Effect<Provider.Provider, Provider.ProviderError> =>
  Effect.gen(function*() {
    const certificate = yield* content(config, "CertFile")
    const chain = CaConfiguration.text(config, "ChainFile") === "" ? "" : yield* content(config, "ChainFile")
    const { path, signer } = yield* Authorities.read({
      mesh,
      what: "CertFile",
      certificates: `${certificate}\n${chain}`,
      keyName: "KeyFile",
      key: yield* content(config, "KeyFile")
    })
    return {
      ...KeyHolder.make({ mesh, config, signer, path }),
      rotate: make(mesh, config),
      configure: (next) => make(mesh, next)
    }
  })

const content = (config: CaConfiguration.CaConfiguration, name: string) =>
  Effect.suspend(() => {
    const path = CaConfiguration.text(config, name)
    return path === ""
      ? Effect.fail(new Provider.ProviderError({ why: `must provide ${name}: the path of a PEM file` }))
      : Effect.tryPromise({
        try: () => readFile(path, "utf8"),
        catch: (cause) =>
          new Provider.ProviderError({
            why: `${name} ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      })
  })
