/**
 * What signs for a mesh. A provider is a value: what it signs with does not change. `rotate` and `configure` give another
 * one, and the former can still vouch for it.
 *
 *     root ─── (authorities) ─── the one that signs ─── leaves
 *
 * @see `agent/connect/ca/provider.go` of Consul, whose providers change in place.
 */
import { type Duration, type Effect, Schema, type Scope } from "effect"
import type * as CaConfiguration from "../CaConfiguration.ts"

export interface Provider {
  readonly name: CaConfiguration.ProviderName
  /** The certificate that everybody trusts, self-signed, PEM. */
  readonly root: string
  /**
   * The authorities between leaves and the root, PEM each: the one that signs leaves first, the one that the root has signed
   * last. Empty: the root signs leaves.
   */
  readonly authorities: ReadonlyArray<string>
  /** The leaf alone, PEM. */
  readonly sign: (leaf: {
    /** PEM. */
    readonly csr: string
    readonly ttl: Duration.Duration
  }) => Effect.Effect<string, ProviderError>
  /**
   * An authority for another datacenter, that may sign leaves and no authorities. First its certificate, then what leads from
   * it to the root: PEM each.
   */
  readonly signIntermediate: (csr: string) => Effect.Effect<ReadonlyArray<string>, ProviderError>
  /**
   * Certificates by which whoever trusts this root trusts another one: the first is for that root's key, the others lead from
   * it to this root. Undefined: it can not be done.
   */
  readonly crossSign: ((root: string) => Effect.Effect<ReadonlyArray<string>, ProviderError>) | undefined
  /** Another key signs leaves. What it takes (a session, a lease) lives as long as that of this one. */
  readonly rotate: Effect.Effect<Provider, ProviderError>
  /** The provider of the same kind under another configuration: itself, where its keys stay. */
  readonly configure: (
    config: CaConfiguration.CaConfiguration
  ) => Effect.Effect<Provider, ProviderError, Scope.Scope>
}

/** For whom a provider signs. */
export interface Mesh {
  /** Without `spiffe://`. */
  readonly trustDomain: string
  readonly nextSerial: () => bigint
}

/** The provider could not do it. The message is what the API answers. */
export class ProviderError extends Schema.TaggedError<ProviderError>()("ProviderError", { why: Schema.String }) {
  override readonly message = this.why
}
