import { assert, describe, it } from "@effect/vitest"
import { firstUri } from "../../src/intention/ForwardedClientCert.ts"

describe("ForwardedClientCert", () => {
  it.each([
    ["URI=spiffe://a", "spiffe://a"],
    ["By=spiffe://b;Hash=00;URI=spiffe://a", "spiffe://a"],
    ["By=spiffe://b;Hash=00;Subject=\"CN=x,O=\\\"y;URI=spiffe://evil\\\"\";URI=spiffe://a;DNS=x", "spiffe://a"],
    ["URI=\"spiffe://a\"", "spiffe://a"],
    ["URI=spiffe://a,URI=spiffe://evil", "spiffe://a"],
    ["uri=spiffe://a", "spiffe://a"]
  ])("reads the first element of %s", (header, uri) => assert.strictEqual(firstUri(header), uri))

  it.each(["", "By=spiffe://b,URI=spiffe://evil", "URI=a;URI=b", "URI=\"a", "=a", "URI=a\"b", "nonsense"])(
    "finds nobody in %j",
    (header) => assert.isUndefined(firstUri(header))
  )
})
