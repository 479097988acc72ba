/** Whom the roots of a peered cluster may vouch for. */
import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import { type Authority, bundle, issue, leafOf, root, trustDomain } from "../support/certificates.ts"

const east = "99999999-2222-3333-4444-555555555555.consul"
const own = await root("own", { uris: [`spiffe://${trustDomain}`] })
const peer = await root("peer", { uris: [`spiffe://${east}`] })
/** An authority that does not say whose it is. */
const silent = await root("silent")
const ours = await leafOf(own, "web")

const uri = (trustDomain: string, service = "web") =>
  SpiffeId.format(SpiffeId.service({ trustDomain, datacenter: "dc1", service }))

const bundleOf = (trustDomain: string, authority: Authority) => ({ ...bundle(authority), trustDomain })

const material = (peers: ReadonlyArray<readonly [string, string, Authority]>, spiffe?: "leaf", roots = bundle(own)) =>
  Result.getOrThrow(
    SecureContexts.material(
      ours,
      roots,
      Date.now(),
      spiffe,
      new Map(peers.map(([name, trustDomain, authority]) => [name, bundleOf(trustDomain, authority)]))
    )
  )

/** Who a certificate is taken for, by `issuer` for a service of `of`. */
const taken = async (
  { identify }: SecureContexts.Material["callers"],
  issuer: Authority,
  of: string
): Promise<string> => {
  const { certPem } = await issue(issuer, { uris: [uri(of)] })
  return Result.match(identify(new X509Certificate(certPem), () => []), {
    onFailure: Refusal.reason,
    onSuccess: ({ trustDomain }) => trustDomain
  })
}

describe("roots of a peer", () => {
  const { callers, identification, peer: trustOf } = material([["east", east, peer]])

  it("vouch for callers of the peer, and ours for ours", async () => {
    assert.strictEqual(await taken(callers, peer, east), east)
    assert.strictEqual(await taken(callers, own, trustDomain), trustDomain)
  })

  it("vouch for nobody of our own mesh, nor of a third one", async () => {
    assert.strictEqual(await taken(callers, peer, trustDomain), "foreign_authority")
    assert.strictEqual(await taken(callers, peer, "third.consul"), "foreign_authority")
  })

  it("are the only ones that vouch for the peer, whatever else we trust", async () => {
    assert.strictEqual(await taken(callers, own, east), "foreign_authority")
    const loose = material([["east", east, peer]], undefined, bundle(own, silent))
    assert.strictEqual(await taken(loose.callers, silent, east), "foreign_authority")
    assert.strictEqual(await taken(loose.callers, silent, trustDomain), trustDomain)
  })

  it("vouch for nobody whom we call in our own mesh", async () => {
    assert.strictEqual(await taken(identification, peer, east), "foreign_authority")
    const trust = trustOf("east")!
    assert.strictEqual(await taken(trust.identification, peer, east), east)
    assert.strictEqual(await taken(trust.identification, own, trustDomain), "foreign_authority")
    assert.isUndefined(trustOf("west"))
  })

  it("count for nothing where the peer has the name of our own trust domain", async () => {
    const impostor = await root("impostor", { uris: [`spiffe://${trustDomain}`] })
    const { callers, peer, server } = material([["east", trustDomain, impostor]])
    assert.strictEqual(await taken(callers, impostor, trustDomain), "foreign_authority")
    assert.isUndefined(peer("east"))
    assert.lengthOf(server.ca as ReadonlyArray<string>, 1)
  })

  it("count for nothing where authorities are not held to their trust domain", async () => {
    const { peer: trustOf, server } = material([["east", east, peer]], "leaf")
    assert.lengthOf(server.ca as ReadonlyArray<string>, 1)
    assert.isUndefined(trustOf("east"))
  })

  it("vouch together where two peers say that a trust domain is theirs", async () => {
    const impostor = await root("impostor", { uris: [`spiffe://${east}`] })
    const claimed = material([["east", east, peer], ["rogue", east, impostor]])
    assert.strictEqual(await taken(claimed.callers, impostor, east), "foreign_authority")
    assert.strictEqual(await taken(claimed.callers, peer, east), "foreign_authority")
    // Whom we call there is dialled by the name of the peer.
    assert.strictEqual(await taken(claimed.peer("east")!.identification, peer, east), east)
    // One cluster that is peered twice.
    const twice = material([["east", east, peer], ["east-again", east, peer]])
    assert.strictEqual(await taken(twice.callers, peer, east), east)
  })
})
