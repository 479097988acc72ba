/** Every provider, by the name that the configuration has for it. */
import type { Effect, Scope } from "effect"
import type * as CaConfiguration from "../CaConfiguration.ts"
import * as BuiltIn from "./BuiltIn.ts"
import * as Files from "./Files.ts"
import type * as Provider from "./Provider.ts"
import * as Vault from "./Vault.ts"

export const make = (
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration
): Effect.Effect<Provider.Provider, Provider.ProviderError, Scope.Scope> => {
  switch (config.provider) {
    case "consul":
      return BuiltIn.make(mesh, config)
    case "files":
      return Files.make(mesh, config)
    case "vault":
      return Vault.make(mesh, config)
  }
}
