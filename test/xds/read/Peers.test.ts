import { assert, describe, it } from "@effect/vitest"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as Peers from "../../../src/xds/read/Peers.ts"
import type * as TlsContext from "../../../src/xds/read/TlsContext.ts"
import * as Certificates from "../../support/certificates.ts"

const theirs = "99999999-2222-3333-4444-555555555555.consul"

const root = async (name: string, trustDomain?: string): Promise<string> =>
  (await Certificates.root(name, trustDomain === undefined ? {} : { uris: [`spiffe://${trustDomain}`] })).pem

const said = (authorities: Record<string, string>, ...domains: ReadonlyArray<string>) => ({
  tls: {
    certificate: "",
    key: "",
    authorities: new Map(Object.entries(authorities)),
    identities: domains.map((trustDomain) => SpiffeId.service({ trustDomain, datacenter: "dc1", service: "api" })),
    sni: ""
  } satisfies TlsContext.TlsContext
})

const counts = (resources: ReadonlyArray<ReturnType<typeof said>>) =>
  Object.fromEntries(
    [...Peers.make()(Certificates.trustDomain, resources)].map(([domain, { roots }]) => [domain, roots.length])
  )

describe("the authorities of peers", () => {
  it("are those of whoever has to answer at a cluster, and of callers by their trust domain", async () => {
    const [one, next] = [await root("One", theirs), await root("Next", theirs)]
    assert.deepStrictEqual(counts([said({ "": one }, theirs), said({ [theirs]: one + next })]), { [theirs]: 2 })
  })

  it("are not those of our own mesh", async () => {
    const own = await root("Own", Certificates.trustDomain)
    assert.deepStrictEqual(
      counts([said({ "": own }, Certificates.trustDomain), said({ [Certificates.trustDomain]: own })]),
      {}
    )
  })

  it("vouch for nobody where they are of another trust domain, or of none, or where it is not clear for whom", async () => {
    const own = await root("Own", Certificates.trustDomain)
    assert.deepStrictEqual(counts([said({ "": own }, theirs)]), {})
    assert.deepStrictEqual(counts([said({ "": await root("None") }, theirs)]), {})
    assert.deepStrictEqual(counts([said({ "": await root("One", theirs) }, theirs, "other.consul")]), {})
    assert.deepStrictEqual(counts([said({ "": await root("One", theirs) })]), {})
  })
})
