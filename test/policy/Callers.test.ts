import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as Callers from "../../src/policy/Callers.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Policy from "../../src/policy/Policy.ts"
import { defaultPolicy, intentions, slowly } from "../support/intentions.ts"

// Also names, namespaces and partitions that no intention has.
const anybody = Arbitrary.schema(Schema.Struct({
  service: Schema.Literals(["web", "api", "db", "stranger", "other", "*"]),
  namespace: Schema.Literals(["default", "team", "elsewhere", "other"]),
  partition: Schema.Literals(["default", "west", "nowhere"]),
  peer: Schema.Literals(["", "", "east"])
}))

const classOf = (
  callers: ReadonlyArray<Callers.Caller>,
  { namespace, partition, peer, service }: { readonly [K in "service" | "namespace" | "partition" | "peer"]: string }
): Callers.Caller => {
  const own = callers.filter((caller) => caller.peer === (peer || undefined))
  const inPartition = own.filter((caller) => caller.id.partition === partition)
  const inNamespace = inPartition.filter((caller) => caller.id.namespace === namespace)
  return inNamespace.find((caller) => !caller.other && caller.id.service === service) ??
    inNamespace.find((caller) => caller.other) ??
    inPartition.find((caller) => caller.label.includes("any other namespace")) ??
    own.find((caller) => caller.label.includes("any other partition")) ??
    inPartition.findLast((caller) => caller.other)!
}

describe("Callers", () => {
  it.prop(
    "has a class for everybody, and what holds for one of a class holds for all",
    { intentions, who: anybody, defaultPolicy, peered: Arbitrary.schema(Schema.Array(Schema.Literals(["web", "*"]))) },
    ({ defaultPolicy, intentions, peered, who }) => {
      const fromPeers = [...new Set(peered)].map((name) => Intention.make(name, "api", "allow", { SourcePeer: "east" }))
      const policy = Policy.make({
        defaultPolicy,
        intentions: [...intentions, ...fromPeers],
        // Places exist through services too.
        services: ["west/team/web", "west/default/api"]
      })
      const mesh = Mesh.make(policy)
      const callers = Callers.classes([policy])
      const peer = Policy.peers([policy]).find(({ name }) => name === who.peer)
      if (who.peer !== "" && peer === undefined) return
      if (who.peer !== "" && who.partition !== "default") return
      const found = classOf(callers, who)
      assert.isDefined(found, JSON.stringify(who))
      const id = SpiffeId.service({ ...who, datacenter: "dc2", trustDomain: peer?.trustDomain ?? Policy.trustDomain })
      for (const service of ["api", "db", "unheard-of"]) {
        const { connection } = mesh.authorizer({ service, namespace: "default", partition: "default" })
        assert.strictEqual(connection(id), connection(found.id), `${JSON.stringify(who)} is not like ${found.label}`)
      }
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop(
    "decides about each class as a slow reading of the rules does",
    { intentions, defaultPolicy },
    ({ defaultPolicy, intentions }) => {
      const policy = Policy.make({ intentions, defaultPolicy })
      const mesh = Mesh.make(policy)
      for (const destination of Policy.destinations([policy])) {
        if (destination.namespace !== "default") continue
        for (const caller of Callers.classes([policy])) {
          const rule = slowly(
            intentions,
            { ...caller.id, trustDomain: "3f9a5f0e-6c1e-4f7b-9f53-0c7a51b1d001.consul" },
            destination.service
          )
          const answer = mesh.answer(caller, destination)
          assert.strictEqual<string | false>(answer._tag === "Decided" && answer.verdict, rule?.Action ?? defaultPolicy)
        }
      }
    }
  )

  it("names the classes", () => {
    const names = (...list: ReadonlyArray<Intention.Intention>) =>
      Callers.classes([Policy.make({ intentions: list, defaultPolicy: "deny", services: ["db"] })]).map(({ label }) =>
        label
      )
    assert.deepStrictEqual(names(Intention.make("web", "api", "deny")), ["db", "web", "any other service"])
    assert.deepStrictEqual(names(Intention.make("web", "api", "deny", { SourcePeer: "east" })), [
      "db",
      "any other service",
      "peer:east/web",
      "any other service of peer east"
    ])
    assert.deepStrictEqual(names(Intention.make("*", "api", "deny", { SourceNS: "team" })), [
      "db",
      "any other service",
      "any other service in team",
      "any service in any other namespace",
      "any service in any other partition"
    ])
  })

  it("covers callers by name, by place, and by peer", () => {
    const callers = Callers.classes([
      Policy.make({
        defaultPolicy: "deny",
        intentions: [
          Intention.make("web", "api", "deny", { SourceNS: "team" }),
          Intention.make("web", "api", "deny", { SourcePeer: "east" })
        ]
      })
    ])
    const covered = (pattern: string) =>
      callers.filter((caller) => Callers.covers(pattern, caller)).map(({ label }) => label)
    assert.deepStrictEqual(covered("team/web"), ["team/web"])
    assert.deepStrictEqual(covered("web"), [])
    assert.deepStrictEqual(covered("team/*"), ["team/web", "any other service in team"])
    assert.deepStrictEqual(covered("peer:east/web"), ["peer:east/web"])
    assert.strictEqual(covered("*").length, callers.length)
  })
})
