/**
 * The provider `vault`: Vault holds the keys. The root signs nothing but intermediates, one of which signs leaves.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Certificate from "../../identity/Certificate.ts"
import * as CaConfiguration from "../CaConfiguration.ts"
import * as Authorities from "./Authorities.ts"
import * as Provider from "./Provider.ts"
import * as Requests from "./Requests.ts"
import * as VaultApi from "./vault/VaultApi.ts"
import * as VaultPki from "./vault/VaultPki.ts"
import * as VaultSession from "./vault/VaultSession.ts"
import * as VaultSettings from "./vault/VaultSettings.ts"

export const make = (
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration
): Effect.Effect<Provider.Provider, Provider.ProviderError, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* VaultSettings.read(config)
    const api = yield* VaultApi.make(settings)
    const session = yield* VaultSession.make(api, settings)
    const pki = VaultPki.make(api, session, settings, mesh, config)
    const root = yield* certificates("the root of Vault", yield* asked(pki.root))
    const above = yield* Effect.mapError(
      Effect.fromResult(Authorities.pathOf(root)),
      (why) => new Provider.ProviderError({ why: `the chain of ${settings.root.path} in Vault ${why}` })
    )
    const present = yield* asked(pki.intermediate)
    const usable = present === "" ? undefined : yield* stillSigns(present, above)
    const signer = usable ?? (yield* certificates("the intermediate of Vault", yield* asked(pki.renewIntermediate)))[0]
    return yield* of({ mesh, config, pki, above }, signer)
  })

interface Held {
  readonly mesh: Provider.Mesh
  readonly config: CaConfiguration.CaConfiguration
  readonly pki: VaultPki.VaultPki
  /** From the authority that signs intermediates to the root. */
  readonly above: ReadonlyArray<Certificate.Certificate>
}

const of = Effect.fnUntraced(function*(
  held: Held,
  signer: Certificate.Certificate
): Effect.fn.Return<Provider.Provider, Provider.ProviderError> {
  const { above, config, mesh, pki } = held
  const path = [signer, ...above]
  yield* Effect.mapError(
    Authorities.check(path, mesh.trustDomain),
    (why) => new Provider.ProviderError({ why: `Vault ${why}` })
  )
  const pems = path.map(({ pem }) => pem)
  const beneath = pems.slice(1, -1)
  return {
    name: "vault",
    root: pems.at(-1) ?? signer.pem,
    authorities: pems.slice(0, -1),
    sign: ({ csr, ttl }) =>
      Effect.gen(function*() {
        const [leaf] = yield* certificates("a leaf of Vault", yield* asked(pki.sign(csr, ttl)))
        if (Authorities.issued(signer, leaf)) return leaf.pem
        return yield* new Provider.ProviderError({
          why: "Vault signs leaves with another intermediate than it had: somebody else has changed the engine"
        })
      }),
    signIntermediate: (csr) =>
      Effect.gen(function*() {
        yield* Effect.tryPromise({
          try: () => Requests.readAuthority(csr, mesh.trustDomain),
          catch: (cause) => new Provider.ProviderError({ why: cause instanceof Error ? cause.message : String(cause) })
        })
        const [intermediate] = yield* certificates("an intermediate of Vault", yield* asked(pki.signIntermediate(csr)))
        return [intermediate.pem, ...beneath]
      }),
    crossSign: (root) =>
      Effect.gen(function*() {
        const [crossed] = yield* certificates("a root that Vault has signed", yield* asked(pki.crossSign(root)))
        return [crossed.pem, ...beneath]
      }),
    rotate: Effect.gen(function*() {
      const [next] = yield* certificates("the intermediate of Vault", yield* asked(pki.renewIntermediate))
      return yield* of(held, next)
    }),
    configure: (next) => Effect.andThen(Effect.fromResult(VaultSettings.compare(config, next)), make(mesh, next))
  }
})

/** The intermediate that an engine has, if it is one under this root, for more than half of its life. */
const stillSigns = Effect.fnUntraced(function*(
  pem: string,
  above: ReadonlyArray<Certificate.Certificate>
) {
  const [signer] = yield* certificates("the intermediate of Vault", pem)
  const issuer = above[0]
  const half = (signer.notBefore.getTime() + signer.notAfter.getTime()) / 2
  return issuer !== undefined && Authorities.issued(issuer, signer) && (yield* Clock.currentTimeMillis) < half
    ? signer
    : undefined
})

const asked = <A>(answer: Effect.Effect<A, VaultApi.VaultError>) => Effect.mapError(answer, VaultApi.toProviderError)

const certificates = (what: string, pem: string) =>
  Effect.mapError(
    Effect.fromResult(Certificate.parseAll(pem, what)),
    ({ message }) => new Provider.ProviderError({ why: message })
  )
