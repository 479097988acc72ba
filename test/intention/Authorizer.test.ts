import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import {
  callers,
  defaultPolicy,
  identity,
  intentions,
  local,
  slowly,
  trustDomain,
  vectors
} from "../support/intentions.ts"

const { make } = Intention

const compile = (
  list: ReadonlyArray<Intention.Intention>,
  defaultPolicy: Authorizer.DefaultPolicy = "deny",
  rest?: Partial<Authorizer.Options>
) => Authorizer.compile({ destination: { service: "api" }, trustDomain, intentions: list, defaultPolicy, ...rest })

const explain = (
  list: ReadonlyArray<Intention.Intention>,
  source: SpiffeId.SpiffeId,
  defaultPolicy: Authorizer.DefaultPolicy = "deny",
  rest?: Partial<Authorizer.Options>
) => Decision.explain(compile(list, defaultPolicy, rest).connection(source))

const permissions: ReadonlyArray<Intention.Permission> = [{ Action: "allow", HTTP: { PathPrefix: "/" } }]

describe("vectors", () => {
  for (const vector of vectors) {
    const authorizer = compile(vector.intentions, vector.defaultPolicy, {
      destination: { ...vector.destination, service: vector.destination.name }
    })
    vector.requests.forEach(({ expect, http, source, why }, index) => {
      it(`${vector.name} (${index}): ${why}`, () => {
        const decision = http === null
          ? authorizer.connection(identity(source))
          : authorizer.request(identity(source), HttpRequest.make(http.method, http.path, http.headers))
        assert.strictEqual(decision.allowed ? "allow" : "deny", expect, Decision.explain(decision))
      })
    })
  }
})

describe("Authorizer", () => {
  it.prop(
    "agrees with a slow reading of the rules",
    { intentions, caller: callers, defaultPolicy },
    ({ caller, defaultPolicy, intentions }) => {
      const decision = compile(intentions, defaultPolicy).connection(caller)
      const expected = slowly(intentions, caller, "api")
      assert.strictEqual(decision.by?.intention, expected)
      assert.strictEqual(decision.allowed, (expected?.Action ?? defaultPolicy) === "allow")
    }
  )

  it.prop(
    "decides the same whatever the order of the list",
    { intentions, caller: callers },
    ({ caller, intentions }) => {
      assert.strictEqual(explain(intentions.toReversed(), caller), explain(intentions, caller))
    }
  )

  it.prop(
    "is not swayed by intentions for other destinations",
    { intentions, caller: callers },
    ({ caller, intentions }) => {
      const relevant = intentions.filter((i) => i.DestinationName !== "db" && i.DestinationNS !== "team")
      assert.strictEqual(explain(relevant, caller), explain(intentions, caller))
    }
  )

  it.prop(
    "is not swayed by intentions for other sources",
    { intentions, caller: callers },
    ({ caller, intentions }) => {
      const relevant = intentions.filter((i) =>
        (i.SourceName === "*" || i.SourceName === caller.service) && i.SourcePartition === caller.partition
      )
      assert.strictEqual(explain(relevant, caller), explain(intentions, caller))
    }
  )

  it.prop("does not look at the datacenter", { intentions, caller: callers }, ({ caller, intentions }) => {
    assert.strictEqual(explain(intentions, { ...caller, datacenter: "dc9" }), explain(intentions, caller))
  })

  it.prop("warns of nothing that Consul stores", { intentions }, ({ intentions }) => {
    assert.deepStrictEqual(compile(intentions).warnings, [])
  })

  it("uses its own precedence, not the number on the wire", () => {
    const list = [make("*", "api", "deny", { Precedence: 1 }), make("web", "*", "allow", { Precedence: 9 })]
    const wire = list.map((intention, index) => ({ ...intention, Precedence: index }))
    assert.strictEqual(explain(wire, local("web")), "denied by intention * → api (precedence 8)")
  })

  it("finds the intentions for a service whose config entry is spelled in other letter case", () => {
    assert.strictEqual(
      explain([make("web", "API", "deny")], local("web"), "allow"),
      "denied by intention web → API (precedence 9)"
    )
  })

  it("refuses agents, gateways, servers and certificate authorities, also under default allow", () => {
    const list = [make("*", "api", "allow"), make("*", "*", "allow")]
    const others: ReadonlyArray<SpiffeId.SpiffeId> = [
      { _tag: "Agent", trustDomain, partition: "default", datacenter: "dc1", node: "web" },
      { _tag: "MeshGateway", trustDomain, partition: "default", datacenter: "dc1" },
      { _tag: "Server", trustDomain, datacenter: "dc1" },
      { _tag: "Signing", trustDomain }
    ]
    for (const other of others) {
      const decision = compile(list, "allow").connection(other)
      assert.isFalse(decision.allowed)
      assert.strictEqual(decision.because, "not-a-service")
    }
  })

  it("takes a caller that is named * for a service like any other", () => {
    const list = [make("web", "api", "allow"), make("*", "api", "deny")]
    const odd = local("*", { namespace: "*" })
    assert.strictEqual(explain(list, odd), "denied by the default policy: no intention is about this caller")
    assert.strictEqual(explain(list, local("*")), "denied by intention * → api (precedence 8)")
  })

  it("compares source names with their letter case", () => {
    assert.isFalse(compile([make("web", "api", "allow")]).connection(local("Web")).allowed)
  })

  it("matches partitions exactly, and takes an absent one for default", () => {
    const list = [make("*", "api", "allow"), make("*", "api", "deny", { SourcePartition: "west" })]
    assert.isTrue(compile(list).connection(local("web")).allowed)
    assert.strictEqual(
      explain(list, local("web", { partition: "west" }), "allow"),
      "denied by intention west/default/* → api (precedence 8)"
    )
    assert.strictEqual(compile(list, "allow").connection(local("web", { partition: "east" })).because, "no-intention")
  })

  describe("fails closed", () => {
    const odd = (rest: Record<string, unknown>, defaultPolicy: Authorizer.DefaultPolicy = "allow") =>
      compile(
        [
          Schema.decodeSync(Intention.Intention)({ SourceName: "web", DestinationName: "api", ...rest }),
          make("*", "*", "allow")
        ],
        defaultPolicy
      )

    it.each([
      ["an unknown action", { Action: "audit" }],
      ["an action in other letters", { Action: "Allow" }],
      ["no action and no permissions", {}],
      ["an action beside permissions", { Action: "allow", Permissions: permissions }],
      ["an unknown source type, denied", { SourceType: "external", Action: "deny" }],
      ["a sameness group, denied", { SourceSamenessGroup: "g", Action: "deny" }],
      ["a sameness group with permissions", { SourceSamenessGroup: "g", Permissions: permissions }],
      ["no source name, denied", { SourceName: null, Action: "deny" }],
      ["no destination name, denied", { DestinationName: null, Action: "deny" }]
    ])("on %s", (_, rest) => {
      const authorizer = odd(rest)
      assert.strictEqual(authorizer.connection(local("web")).because, "undecidable")
      assert.isFalse(authorizer.connection(local("web")).allowed)
      assert.strictEqual(authorizer.warnings.length, 1)
    })

    it.each([
      ["a sameness group", { SourceSamenessGroup: "g", Action: "allow" }],
      ["an unknown source type", { SourceType: "external", Action: "allow" }],
      ["no source name", { SourceName: null, Action: "allow" }]
    ])("on %s that is allowed, by leaving it out", (_, rest) => {
      const authorizer = odd(rest)
      assert.strictEqual(authorizer.connection(local("web")).by?.source, "*")
      assert.strictEqual(authorizer.warnings.length, 1)
      const alone = compile([make("web", "api", "allow", { SourceSamenessGroup: "g" })])
      assert.isFalse(alone.connection(local("web")).allowed)
    })

    it("on a sameness group that is denied, in whatever partition the caller is", () => {
      const list = [make("web", "api", "deny", { SourceSamenessGroup: "g" })]
      assert.isFalse(compile(list, "allow").connection(local("web", { partition: "west" })).allowed)
      assert.isTrue(compile(list, "allow").connection(local("db", { partition: "west" })).allowed)
    })

    it("on two intentions that contradict each other, in either order", () => {
      const list = [make("web", "api", "allow"), make("web", "api", "deny")]
      for (const each of [list, list.toReversed()]) {
        const authorizer = compile(each)
        assert.strictEqual(authorizer.connection(local("web")).because, "undecidable")
        assert.strictEqual(authorizer.warnings.length, 2)
      }
      assert.isTrue(
        compile([make("web", "api", "allow"), make("web", "api", "allow")]).connection(local("web")).allowed
      )
    })

    it("saying which intention it is, what about it, and what that means", () => {
      const { message } = odd({ Action: "audit" }).warnings[0]!
      assert.strictEqual(
        message,
        "intention web → api (precedence 9): its action \"audit\" is not known, so it denies every caller that it may cover"
      )
    })
  })

  describe("peers", () => {
    const peers = [{ name: "east", trustDomain: "east.consul" }]
    const list = [make("web", "api", "allow", { SourcePeer: "east" }), make("*", "api", "deny")]
    const foreign = local("web", { trustDomain: "east.consul" })

    it("are known by the trust domain and partition of their bundle", () => {
      assert.strictEqual(
        explain(list, foreign, "deny", { peers }),
        "allowed by intention peer:east/web → api (precedence 9)"
      )
      const elsewhere = { ...foreign, partition: "west" }
      assert.isFalse(compile(list, "deny", { peers }).connection(elsewhere).allowed)
    })

    it("need an intention that names them, whatever holds by default", () => {
      const cron = local("cron", { trustDomain: "east.consul" })
      assert.isFalse(compile([list[0]!], "allow", { peers }).connection(cron).allowed)
      assert.isFalse(compile([], "allow").connection(foreign).allowed)
      assert.isTrue(compile([list[0]!], "allow", { peers }).connection(local("cron")).allowed)
    })

    it("without a bundle are skipped, and reported", () => {
      const authorizer = compile(list)
      assert.strictEqual(authorizer.connection(foreign).because, "no-intention")
      assert.strictEqual(authorizer.warnings.length, 1)
    })
  })
})

describe("trap", () => {
  it("1: destination specificity outranks source specificity", () => {
    const list = [make("web", "*", "allow"), make("*", "api", "deny")]
    assert.strictEqual(explain(list, local("web")), "denied by intention * → api (precedence 8)")
  })

  it("2: one intention decides; no merging, no fall-through", () => {
    const list = [make("web", "api", permissions), make("*", "api", "allow"), make("*", "*", "allow")]
    assert.strictEqual(compile(list).connection(local("web")).by?.source, "web")
    assert.isFalse(compile(list).connection(local("web")).allowed)
  })

  it("10: the L4 question with permissions is deny, also under default allow", () => {
    for (const policy of ["allow", "deny"] as const) {
      assert.strictEqual(
        explain([make("web", "api", permissions)], local("web"), policy),
        "denied: intention web → api (precedence 9) has permissions, which judge HTTP requests and no connection"
      )
    }
  })

  it("12: a null result list is no intentions", () => {
    const result = Schema.decodeSync(Intention.MatchResult)({ api: null })
    assert.strictEqual(
      explain(Intention.matches(result, "api"), local("web"), "allow"),
      "allowed by the default policy: no intention is about this caller"
    )
  })

  it("14: local wildcards do not cover peers, nor the other way round", () => {
    const foreign = local("web", { trustDomain: "east.consul" })
    const peers = [{ name: "east", trustDomain: "east.consul" }]
    const everybody = [make("*", "api", "allow"), make("*", "*", "allow")]
    assert.isFalse(compile(everybody, "deny", { peers }).connection(foreign).allowed)
    const everyPeer = [make("*", "api", "allow", { SourcePeer: "east" })]
    assert.isTrue(compile(everyPeer, "deny", { peers }).connection(foreign).allowed)
    assert.isFalse(compile(everyPeer, "deny", { peers }).connection(local("web")).allowed)
  })

  it("15: the datacenter is irrelevant, the trust domain is not", () => {
    const list = [make("web", "api", "allow")]
    assert.isTrue(compile(list).connection(local("web", { datacenter: "dc2" })).allowed)
    for (const other of ["other.consul", trustDomain.toUpperCase(), trustDomain.replace(".", "-")]) {
      assert.isFalse(compile(list).connection(local("web", { trustDomain: other })).allowed)
    }
  })
})
