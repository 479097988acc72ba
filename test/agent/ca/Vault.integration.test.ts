import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Requests from "../../../src/agent/ca/Requests.ts"
import * as Authority from "../../support/authority.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Vault from "../../support/vault.ts"

const settings = ({ address, token }: Vault.Vault) => ({
  Address: address,
  Token: token,
  RootPKIPath: "connect-root",
  IntermediatePKIPath: "connect/intermediate/"
})

describe("the provider vault", () => {
  it.live("makes a root and an intermediate, is vouched for, and vouches for the next", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      const { chain, roots } = yield* Authority.make()
      const [builtIn] = roots.list().Roots
      yield* roots.configure({ Provider: "vault", Config: settings(vault) })
      const active = roots.list().Roots.find(({ Active }) => Active)
      assert.strictEqual(active?.Name, "Vault CA Primary Cert")
      // Vouched for by the built-in root; then the intermediate, which signs.
      assert.strictEqual(active?.IntermediateCerts.length, 2)
      const signing = Authority.split(active?.IntermediateCerts[1] ?? "")[0]
      const leaf = yield* chain("web")
      assert.isTrue(leaf[0]?.checkIssued(signing!))
      assert.isUndefined(Authority.refusal(leaf, [active?.RootCert ?? ""]))
      assert.isUndefined(Authority.refusal(leaf, [builtIn?.RootCert ?? ""]))

      yield* roots.configure({ Provider: "consul" })
      const after = yield* chain("web")
      assert.isUndefined(Authority.refusal(after, [active?.RootCert ?? ""]))
      assert.isDefined(Authority.refusal(after, [builtIn?.RootCert ?? ""]))
    }))

  it.live("keeps root and intermediate that are there, and takes another root by another path", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      const { roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "vault", Config: settings(vault) })
      const first = roots.list()
      yield* roots.configure({ Provider: "vault", Config: { ...settings(vault), LeafCertTTL: "48h" } })
      const second = roots.list()
      assert.strictEqual(second.ActiveRootID, first.ActiveRootID)
      assert.strictEqual(second.Roots.at(-1)?.SigningKeyID, first.Roots.at(-1)?.SigningKeyID)
      const changed = { ...settings(vault), PrivateKeyBits: 384 }
      const refused = yield* Effect.flip(roots.configure({ Provider: "vault", Config: changed }))
      assert.include(refused.body, "cannot update the PrivateKeyBits field without changing RootPKIPath")
      yield* roots.configure({ Provider: "vault", Config: { ...changed, RootPKIPath: "other-root" } })
      const third = roots.list()
      assert.strictEqual(third.Roots.at(-1)?.PrivateKeyBits, 384)
      assert.notStrictEqual(third.ActiveRootID, first.ActiveRootID)
    }))

  it.live("signs leaves with another intermediate after a rotation, under the same root", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      const { chain, roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "vault", Config: settings(vault) })
      const before = roots.list()
      yield* chain("web")
      yield* roots.rotate({ crossSign: true })
      const after = roots.list()
      assert.strictEqual(after.ActiveRootID, before.ActiveRootID)
      assert.notStrictEqual(after.Roots.at(-1)?.SigningKeyID, before.Roots.at(-1)?.SigningKeyID)
      assert.isUndefined(Authority.refusal(yield* chain("web"), [after.Roots.at(-1)?.RootCert ?? ""]))
      // The one before is not kept in Vault: only the root, and what signs, which has a key.
      const { keys } = yield* vault.ask("GET", "connect/intermediate/issuers?list=true")
      const held = yield* Effect.forEach(
        keys,
        (id) => vault.ask("GET", `connect/intermediate/issuer/${id}`)
      )
      assert.strictEqual(held.filter(({ key_id }) => key_id !== "" && key_id !== undefined).length, 1)
    }))

  it.live("signs authorities of other datacenters of this trust domain only", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      const { roots } = yield* Authority.make()
      yield* roots.configure({ Provider: "vault", Config: settings(vault) })
      const root = Authority.split(roots.list().Roots.at(-1)?.RootCert ?? "")[0]!
      const request = yield* Requests.forAuthority(Certificates.trustDomain, { type: "ec", bits: 256 })
      const [signed] = yield* roots.signIntermediate(request.csr)
      const authority = Authority.split(signed ?? "")[0]!
      assert.isTrue(authority.checkIssued(root) && authority.verify(root.publicKey) && authority.ca)
      const foreign = yield* Requests.forAuthority("other.consul", { type: "ec", bits: 256 })
      assert.include((yield* Effect.flip(roots.signIntermediate(foreign.csr))).message, "not valid for our domain")
    }))

  it.live("logs in, and says when it may not", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      yield* vault.ask("POST", "sys/auth/approle", { type: "approle" })
      yield* vault.ask("POST", "auth/approle/role/mesh", { token_policies: "mesh" })
      if (!vault.double) {
        const everything =
          "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"] }"
        yield* vault.ask("PUT", "sys/policies/acl/mesh", { policy: everything })
      }
      const { role_id } = yield* vault.ask("GET", "auth/approle/role/mesh/role-id")
      const { secret_id } = yield* vault.ask("POST", "auth/approle/role/mesh/secret-id")
      const { chain, roots } = yield* Authority.make()
      const { Token: _, ...without } = settings(vault)
      const login = (Params: object) => ({
        Provider: "vault",
        Config: { ...without, AuthMethod: { Type: "approle", Params: { ...Params } } }
      })
      const refused = yield* Effect.flip(roots.configure(login({ role_id, secret_id: "wrong" })))
      assert.include(refused.body, "Vault answered 400 to POST auth/approle/login: invalid role or secret ID")
      yield* roots.configure(login({ role_id, secret_id }))
      assert.strictEqual((yield* chain("web")).length, 3)
    }))

  it.live("says what Vault answers to a token that it does not know, without the token", () =>
    Effect.gen(function*() {
      const vault = yield* Vault.make
      const { roots } = yield* Authority.make()
      const before = roots.list()
      const refused = yield* Effect.flip(
        roots.configure({ Provider: "vault", Config: { ...settings(vault), Token: "s.nobody" } })
      )
      assert.include(refused.body, "Vault answered 403 to GET auth/token/lookup-self: permission denied")
      assert.notInclude(refused.body, "s.nobody")
      assert.deepStrictEqual(roots.list(), before)
    }))

  it.live("says that nobody answers", () =>
    Effect.gen(function*() {
      const { roots } = yield* Authority.make()
      const config = { Address: "http://127.0.0.1:1", Token: "x", RootPKIPath: "a", IntermediatePKIPath: "b" }
      const refused = yield* Effect.flip(roots.configure({ Provider: "vault", Config: config }))
      assert.include(refused.body, "error configuring provider: Vault did not answer GET auth/token/lookup-self")
    }))

  it.live.each(
    [
      [{ Token: "" }, "must provide a Vault token or configure a Vault auth method"],
      [{ AuthMethod: { Type: "approle" } }, "only one of Vault token or Vault auth method can be provided"],
      [{ RootPKIPath: "" }, "must provide a valid path to a root PKI backend"],
      [{ IntermediatePKIPath: "/" }, "must provide a valid path for the intermediate PKI backend"],
      [{ Token: "", AuthMethod: { Type: "token" } }, "'token' auth method is not supported"],
      [{ Token: "", AuthMethod: { Type: "magic" } }, "auth method \"magic\" is not supported"],
      [{ Token: "", AuthMethod: { Type: "ldap" } }, "failed to get 'username' from auth method params"],
      [{ Address: "vault:8200" }, "is no URL"]
    ] as const
  )("refuses the settings %j", ([change, text]) =>
    Effect.gen(function*() {
      const { roots } = yield* Authority.make()
      const config = {
        Address: "http://127.0.0.1:1",
        Token: "x",
        RootPKIPath: "a",
        IntermediatePKIPath: "b",
        ...change
      }
      const refused = yield* Effect.flip(roots.configure({ Provider: "vault", Config: config }))
      assert.include(refused.body, text)
    }))
})
