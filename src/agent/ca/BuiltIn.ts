/**
 * The provider `consul`: a root of its own making, or one that the configuration brings (`PrivateKey`, `RootCert`). It signs
 * leaves itself.
 */
import { Clock, Duration, Effect } from "effect"
import * as CaConfiguration from "../CaConfiguration.ts"
import * as CertificateAuthority from "../CertificateAuthority.ts"
import * as Authorities from "./Authorities.ts"
import * as KeyHolder from "./KeyHolder.ts"
import * as Provider from "./Provider.ts"

export const make = (
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration
): Effect.Effect<Provider.Provider, Provider.ProviderError> =>
  Effect.map(given(mesh, config), (authority) => of(mesh, config, authority))

const of = (
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration,
  signer: CertificateAuthority.Authority
): Provider.Provider => ({
  ...KeyHolder.make({ mesh, config, signer, path: [signer.pem] }),
  rotate: Effect.map(generate(mesh, config), (next) => of(mesh, config, next)),
  configure: (next) => isSameKey(config, next) ? Effect.succeed(of(mesh, next, signer)) : make(mesh, next)
})

/** Whether what signs under one configuration may sign under the other. */
const isSameKey = (a: CaConfiguration.CaConfiguration, b: CaConfiguration.CaConfiguration): boolean =>
  CaConfiguration.text(a, "PrivateKey") === CaConfiguration.text(b, "PrivateKey") &&
  CaConfiguration.text(a, "RootCert") === CaConfiguration.text(b, "RootCert") &&
  a.key.type === b.key.type && a.key.bits === b.key.bits

const given = (mesh: Provider.Mesh, config: CaConfiguration.CaConfiguration) => {
  const privateKey = CaConfiguration.text(config, "PrivateKey")
  const rootCert = CaConfiguration.text(config, "RootCert")
  if (privateKey === "" && rootCert === "") return generate(mesh, config)
  if (privateKey === "" || rootCert === "") {
    return Effect.fail(
      new Provider.ProviderError({
        why: "must provide a private key and a root certificate: PrivateKey and RootCert go together here"
      })
    )
  }
  return Effect.map(
    Authorities.read({ mesh, what: "RootCert", certificates: rootCert, keyName: "PrivateKey", key: privateKey }),
    ({ signer }) => signer
  )
}

const generate = Effect.fnUntraced(function*(mesh: Provider.Mesh, config: CaConfiguration.CaConfiguration) {
  return yield* Effect.mapError(
    CertificateAuthority.makeRoot({
      trustDomain: mesh.trustDomain,
      serial: mesh.nextSerial(),
      key: config.key,
      now: yield* Clock.currentTimeMillis,
      ttl: Duration.toMillis(config.rootTtl)
    }),
    ({ message }) => new Provider.ProviderError({ why: message })
  )
})
