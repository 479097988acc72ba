import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as Needs from "../../src/intention/Needs.ts"
import type * as TokenRequirement from "../../src/intention/TokenRequirement.ts"
import { defaultPolicy, local, trustDomain } from "../support/intentions.ts"
import * as Requests from "../support/requests.ts"

const { make } = Intention
type Http = (typeof Intention.HttpPermission)["Encoded"]

const compile = (
  list: ReadonlyArray<Intention.Intention>,
  defaultPolicy: Authorizer.DefaultPolicy = "deny",
  rest?: Partial<Authorizer.Options>
) =>
  Authorizer.compile({
    destination: { service: "api", protocol: "http" },
    trustDomain,
    intentions: list,
    defaultPolicy,
    ...rest
  })

const permission = (Action: string, HTTP: Http, rest?: Partial<Intention.Permission>): Intention.Permission => ({
  Action,
  HTTP: Schema.decodeSync(Intention.HttpPermission)(HTTP),
  ...rest
})

const get = (path: string, headers: Record<string, string | ReadonlyArray<string>> = {}) =>
  HttpRequest.make("GET", path, headers)

const web = local("web")

/** Whether the one condition holds. Then it is allowed by permission 1; `undecidable` counts as neither. */
const holds = (http: Http, request: HttpRequest.HttpRequest): boolean | "undecidable" => {
  const decision = compile([make("web", "api", [permission("allow", http)])]).request(web, request)
  return decision.because === "undecidable" ? "undecidable" : decision.allowed
}

const header = (matcher: Record<string, unknown>, value?: string | ReadonlyArray<string>) =>
  holds({ Header: [{ Name: "x-a", ...matcher }] }, get("/", value === undefined ? {} : { "X-A": value }))

describe("Authorizer.request", () => {
  it.prop(
    "agrees with a slow reading of the rules",
    { rule: Requests.rules, request: Requests.requests, tokens: Requests.tokens, defaultPolicy },
    ({ defaultPolicy, request, rule, tokens }) => {
      const authorizer = compile([rule], defaultPolicy)
      assert.deepStrictEqual(authorizer.warnings, [])
      const verified: TokenRequirement.Tokens = (provider) => tokens.some((name) => name === provider) ? {} : undefined
      const decision = authorizer.request(web, Requests.toHttpRequest(request), verified)
      const expected = Requests.slowly(rule, request, tokens, defaultPolicy)
      assert.strictEqual(decision.allowed ? "allow" : "deny", expected, Decision.explain(decision))
    },
    { arbitrary: { runs: 1000 } }
  )

  it("answers as for the connection where the destination is not HTTP-like", () => {
    const list = [make("web", "api", [permission("allow", { PathPrefix: "/" })])]
    for (const protocol of ["tcp", "", "mongo", undefined]) {
      const authorizer = compile(list, "deny", { destination: { service: "api", protocol } })
      assert.isFalse(authorizer.http)
      assert.strictEqual(authorizer.request(web, get("/")).because, "needs-http")
    }
    for (const protocol of ["http", "HTTP2", "grpc"]) {
      const authorizer = compile(list, "deny", { destination: { service: "api", protocol } })
      assert.isTrue(authorizer.http)
      assert.isTrue(authorizer.request(web, get("/")).allowed)
    }
  })

  it("explains in one line, for machines, and says what was needed", () => {
    const authorizer = compile([
      make("web", "api", [
        permission("deny", { PathPrefix: "/admin" }),
        permission("allow", {
          PathPrefix: "/v1",
          Methods: ["GET", "HEAD"],
          Header: [{ Name: "x-team", Exact: "red", Invert: true }]
        })
      ])
    ])
    const decision = authorizer.request(web, get("/v2"))
    assert.strictEqual(
      Decision.explain(decision),
      "denied by the default policy: no permission of intention web → api (precedence 9) is about this request"
    )
    assert.deepStrictEqual(
      Needs.needs(decision, {
        caller: "web",
        destination: "api",
        request: get("/v2"),
        tokens: () => undefined,
        defaultPolicy: "deny"
      }),
      ["a path that starts with /v1 and header x-team is present and not \"red\" (then permission 2 allows it)"]
    )
    assert.strictEqual(
      Decision.explain(authorizer.request(web, get("/admin"))),
      "denied by permission 1 of intention web → api (precedence 9)"
    )
    assert.deepStrictEqual(Decision.toJson(authorizer.request(web, get("/admin"))), {
      allowed: false,
      because: "permission",
      default: false,
      intention: { source: "web", destination: "api", precedence: 9, action: "permissions" },
      permissionIndex: 0
    })
  })

  describe("needs", () => {
    const asked = (
      list: ReadonlyArray<Intention.Intention>,
      request: HttpRequest.HttpRequest | undefined,
      claims: TokenRequirement.Claims | undefined = undefined,
      defaultPolicy: Authorizer.DefaultPolicy = "deny"
    ) => {
      const authorizer = compile(list, defaultPolicy)
      const tokens: TokenRequirement.Tokens = (provider) => provider === "okta" ? claims : undefined
      const decision = request === undefined ? authorizer.connection(web) : authorizer.request(web, request, tokens)
      return Needs.needs(decision, { caller: "web", destination: "api", request, tokens, defaultPolicy })
    }
    const post = (path: string, headers: Record<string, string> = {}) => HttpRequest.make("POST", path, headers)
    const orders = [
      permission("deny", { PathPrefix: "/orders/admin" }),
      permission("allow", { PathPrefix: "/orders", Methods: ["GET", "POST"] }),
      permission("allow", { PathPrefix: "/orders", Header: [{ Name: "x-team", Exact: "red" }] })
    ]

    it("names which permission denies and what would avoid it, and not what the request has", () => {
      assert.deepStrictEqual(asked([make("web", "api", orders)], post("/orders/admin/x")), [
        "a path that does not start with /orders/admin (permission 1 denies this one) (then permission 2 allows it)"
      ])
    })

    it("names only what this request lacks of the permissions that come closest", () => {
      const list = [make("web", "api", orders)]
      assert.deepStrictEqual(asked(list, HttpRequest.make("PUT", "/orders/1")), [
        "the method GET or POST (then permission 2 allows it)",
        "header x-team is \"red\" (then permission 3 allows it)"
      ])
      assert.deepStrictEqual(asked(list, post("/v2")), [
        "a path that starts with /orders (then permission 2 allows it)"
      ])
    })

    it("asks for tokens and claims that are missing, and does not repeat what a token says", () => {
      const JWT = { Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["realm", "role"], Value: "admin" }] }] }
      const list = [make("web", "api", [permission("allow", { PathPrefix: "/" }, { JWT })])]
      assert.deepStrictEqual(asked(list, get("/")), [
        "a token of okta with realm.role \"admin\" (then permission 1 allows it)"
      ])
      assert.deepStrictEqual(asked(list, get("/"), { realm: { role: "secret" } }), [
        "realm.role \"admin\" in its token of okta (then permission 1 allows it)"
      ])
      assert.deepStrictEqual(asked([make("web", "api", "allow", { JWT })], get("/")), [
        "a token of okta with realm.role \"admin\""
      ])
    })

    it("asks for an intention of the caller's own, and never for another wildcard", () => {
      for (
        const rule of [
          make("*", "api", "deny"),
          make("*", "*", "deny"),
          make("web", "*", "deny"),
          make("*", "api", [permission("deny", { PathPrefix: "/" })])
        ]
      ) {
        const [need, ...rest] = asked([rule], get("/"))
        assert.deepStrictEqual(rest, [])
        assert.match(
          need!,
          rule.Permissions === undefined ? /^an intention of its own, web → api, that allows it/ : /./
        )
        assert.notMatch(need!, /action allow/)
      }
      assert.deepStrictEqual(asked([make("web", "api", "deny")], get("/")), [
        "the action allow in the intention web → api, which is about this caller alone"
      ])
      assert.deepStrictEqual(asked([], get("/")), ["an intention web → api that allows it"])
    })

    it("asks for what a denial is not about, where the rest is open", () => {
      const list = [
        make("web", "api", [
          permission("deny", { PathPrefix: "/admin", Header: [{ Name: "x-role", Exact: "admin", Invert: true }] })
        ])
      ]
      assert.deepStrictEqual(asked(list, get("/admin", { "x-role": "guest" }), undefined, "allow"), [
        "a path that does not start with /admin or header x-role is absent or is \"admin\" (permission 1 denies this one)"
      ])
    })
  })

  it("compares bytes, so text outside ASCII stands for its UTF-8", () => {
    assert.isTrue(holds({ PathExact: "/é" }, HttpRequest.fromRaw("GET", "/\u00c3\u00a9", [])))
    assert.isFalse(holds({ PathExact: "/é" }, HttpRequest.fromRaw("GET", "/\u00e9", [])))
    assert.isTrue(holds({ PathRegex: "/." }, HttpRequest.fromRaw("GET", "/\u00c3\u00a9", [])))
  })

  it("takes Host for the authority of the request, in every version of HTTP", () => {
    const condition = { Header: [{ Name: "Host", Exact: "api:8080" }] }
    assert.isTrue(holds(condition, HttpRequest.fromRaw("GET", "/", ["Host", "api:8080"])))
    assert.isTrue(holds(condition, HttpRequest.fromRaw("GET", "/", [":method", "GET", ":authority", "api:8080"])))
    assert.isFalse(holds(condition, HttpRequest.fromRaw("GET", "/", [":authority", "evil", "host", "api:8080"])))
  })

  it("sees the request line under the names of HTTP/2", () => {
    assert.isTrue(holds({ Header: [{ Name: ":path", Exact: "/?a" }] }, get("/?a")))
    assert.isTrue(holds({ Header: [{ Name: ":method", Exact: "GET" }] }, get("/")))
    assert.strictEqual(holds({ Header: [{ Name: ":scheme", Exact: "https" }] }, get("/")), "undecidable")
  })

  describe("with several lines of a header", () => {
    const denying = (http: Http) => [
      make("web", "api", [permission("deny", http), permission("allow", { PathPrefix: "/" })])
    ]
    const evil = denying({ Header: [{ Name: "x-a", Exact: "evil" }] })

    it("denies what either reading denies, and says when it is the lines one by one", () => {
      const { request } = compile(evil)
      assert.isTrue(request(web, get("/", { "x-a": "good,evil" })).allowed)
      const decision = request(web, get("/", { "x-a": ["good", "evil"] }))
      assert.strictEqual(
        Decision.explain(decision),
        "denied by permission 1 of intention web → api (precedence 9) (by the lines of a header that it has several of)"
      )
      assert.isTrue(Decision.toJson(decision).byLine)
      assert.strictEqual(request(web, get("/", { "x-a": ["evil", "fair"] })), decision)
    })

    it("needs one line that is understood, unless a line is what is asked for", () => {
      const allowing = [make("web", "api", [permission("allow", { Header: [{ Name: "x-a", Regex: "[a-z,]+" }] })])]
      const ask = (...lines: ReadonlyArray<string>) =>
        compile(allowing).request(web, HttpRequest.fromRaw("GET", "/", lines.flatMap((line) => ["x-a", line])))
      assert.isTrue(ask("good", "fair").allowed)
      assert.strictEqual(ask("good", "\xff").because, "undecidable")
      assert.strictEqual(compile(evil).request(web, get("/", { "x-a": ["evil", "\xff"] })).permission, 0)
    })

    it("looks at each line of the authority, whatever it is called", () => {
      const { request } = compile(denying({ Header: [{ Name: ":authority", Exact: "evil" }] }))
      assert.isFalse(request(web, HttpRequest.fromRaw("GET", "/", ["Host", "good", "hOST", "evil"])).allowed)
      const http2 = (...rest: ReadonlyArray<string>) => HttpRequest.fromRaw("GET", "/", [":method", "GET", ...rest])
      assert.isFalse(request(web, http2(":authority", "good", ":authority", "evil")).allowed)
      assert.isFalse(request(web, http2("host", "good", "host", "evil")).allowed)
      assert.isTrue(request(web, http2(":authority", "good", "host", "evil", "host", "evil")).allowed)
    })

    it("leaves a Cookie header whole that HTTP/2 split", () => {
      const { request } = compile(denying({ Header: [{ Name: "cookie", Exact: "b=2" }] }))
      const raw = ["cookie", "a=1", "cookie", "b=2"]
      assert.isTrue(request(web, HttpRequest.fromRaw("GET", "/", [":path", "/", ...raw])).allowed)
      assert.isFalse(request(web, HttpRequest.fromRaw("GET", "/", raw)).allowed)
    })
  })

  it("puts a Cookie header together that HTTP/2 split", () => {
    const raw = ["cookie", "a=1", "cookie", "b=2"]
    const condition = { Header: [{ Name: "Cookie", Exact: "a=1; b=2" }] }
    assert.isTrue(holds(condition, HttpRequest.fromRaw("GET", "/", [":path", "/", ...raw])))
    assert.isFalse(holds(condition, HttpRequest.fromRaw("GET", "/", raw)))
  })

  describe("fails closed", () => {
    it.each<[string, Http, string]>([
      ["an expression that does not compile", { PathRegex: "/(" }, "PathRegex \"/(\" is no RE2 expression"],
      ["look-ahead, which RE2 has not", { PathRegex: "/a(?=b)" }, "is no RE2 expression"],
      ["a back-reference, which RE2 has not", { PathRegex: "/(a)\\1" }, "is no RE2 expression"],
      ["a group closed by what it is wrapped in", { PathRegex: "/a)(b" }, "is no RE2 expression"],
      ["a kind of path that is not known", { PathGlob: "/*" }, "the condition PathGlob is not known"],
      [
        "a condition that is not known beside one that is",
        { PathPrefix: "/", Query: "a" },
        "the condition Query is not known"
      ],
      ["a kind of header matcher that is not known", { Header: [{ Name: "x", OneOf: ["a"] }] }, "unknown field OneOf"],
      ["a header matcher without a kind", { Header: [{ Name: "x" }] }, "has no kind that is known"],
      ["a header matcher without a name", { Header: [{ Exact: "a" }] }, "has no name"],
      ["no condition at all", {}, "it has no condition"]
    ])("on %s, whatever the action and the default policy", (_, http, flaw) => {
      for (const action of ["allow", "deny"]) {
        for (const policy of ["allow", "deny"] as const) {
          const list = [make("web", "api", [permission(action, http), permission("allow", { PathPrefix: "/" })])]
          const authorizer = compile(list, policy)
          const decision = authorizer.request(web, get("/ab", { x: "a" }))
          assert.isFalse(decision.allowed)
          assert.strictEqual(decision.because, "undecidable")
          assert.strictEqual(authorizer.warnings.length, 1)
          assert.include(authorizer.warnings[0]!.message, flaw)
          assert.include(authorizer.warnings[0]!.message, "permission 1 of intention web → api (precedence 9)")
        }
      }
    })

    it("only on requests that the flaw leaves in doubt", () => {
      const list = [
        make("web", "api", [
          permission("deny", { PathRegex: "/(", Methods: ["POST"] }),
          permission("deny", { Header: [{ Name: "x", Regex: "(" }] }),
          permission("allow", { PathPrefix: "/" })
        ])
      ]
      assert.isTrue(compile(list).request(web, get("/")).allowed)
      assert.isFalse(compile(list).request(web, get("/", { x: "a" })).allowed)
      assert.isFalse(compile(list).request(web, HttpRequest.make("POST", "/")).allowed)
    })

    it("on an inverted matcher that can not be judged", () => {
      assert.strictEqual(header({ Regex: "(", Invert: true }, "a"), "undecidable")
      assert.strictEqual(header({ OneOf: ["b"], Invert: true }, "a"), "undecidable")
    })

    it("on bytes that are no UTF-8, for an expression", () => {
      const list = [
        make("web", "api", [permission("deny", { PathRegex: "/admin.*" }), permission("allow", { PathPrefix: "/" })])
      ]
      assert.isFalse(compile(list).request(web, HttpRequest.fromRaw("GET", "/admin/\u00ff", [])).allowed)
    })

    it("on an unknown action of a permission, where it matches", () => {
      const list = [
        make("web", "api", [permission("audit", { PathExact: "/a" }), permission("allow", { PathPrefix: "/" })])
      ]
      assert.strictEqual(compile(list, "allow").request(web, get("/a")).because, "undecidable")
      assert.isTrue(compile(list, "allow").request(web, get("/b")).allowed)
      assert.strictEqual(compile(list).warnings.length, 1)
    })

    it("on a condition beside HTTP that is not known", () => {
      const Permission = Schema.decodeSync(Intention.Permission)
      const list = [make("web", "api", [Permission({ Action: "allow", HTTP: { PathPrefix: "/a" }, Time: "noon" })])]
      assert.isFalse(compile(list, "allow").request(web, get("/a")).allowed)
      assert.isTrue(compile(list, "allow").request(web, get("/b")).allowed)
    })

    it("on a token requirement that is not known, when it guards anything", () => {
      const JWT = Schema.decodeSync(Intention.JwtRequirement)({ AnyOf: ["okta"] })
      const deny = [make("web", "api", "deny", { JWT })]
      assert.isFalse(compile(deny, "allow").request(web, get("/")).allowed)
      assert.isFalse(compile([make("web", "api", "allow", { JWT })]).request(web, get("/")).allowed)
    })
  })

  describe("tokens", () => {
    const okta = { JWT: { Providers: [{ Name: "okta" }] } }
    const auth0 = { JWT: { Providers: [{ Name: "auth0" }] } }
    const having = (...names: ReadonlyArray<string>): TokenRequirement.Tokens => (name) =>
      names.includes(name) ? {} : undefined
    const both = [
      make(
        "web",
        "api",
        [permission("allow", { PathExact: "/a" }, auth0), permission("allow", { PathPrefix: "/" })],
        okta
      )
    ]

    it("are needed at both levels", () => {
      const { request } = compile(both)
      assert.isTrue(request(web, get("/a"), having("okta", "auth0")).allowed)
      assert.isFalse(request(web, get("/a"), having("okta")).allowed)
      assert.isFalse(request(web, get("/a"), having("auth0")).allowed)
      assert.isTrue(request(web, get("/b"), having("okta")).allowed)
    })

    it("missing end the list, and are named", () => {
      assert.strictEqual(
        Decision.explain(compile(both).request(web, get("/a"), having("okta"))),
        "denied by the default policy: permission 1 of intention web → api (precedence 9) requires a token of auth0"
      )
    })

    it("only guard a verdict that departs from the default policy", () => {
      assert.isTrue(compile(both, "allow").request(web, get("/a")).allowed)
      const deny = [make("web", "api", "deny", okta)]
      assert.isTrue(compile(deny, "allow").request(web, get("/")).allowed)
      assert.isFalse(compile(deny, "allow").request(web, get("/"), having("okta")).allowed)
    })

    it("refuse a connection where they are due, because it has none, and are no matter of tcp services", () => {
      const list = [make("web", "api", "allow", okta)]
      const decision = compile(list).connection(web)
      assert.isFalse(decision.allowed)
      assert.strictEqual(
        Decision.explain(decision),
        "denied: intention web → api (precedence 9) requires a token, which comes with HTTP requests and with no connection"
      )
      assert.isTrue(compile(list, "deny", { destination: { service: "api", protocol: "tcp" } }).connection(web).allowed)
      // Under default allow a token guards no allow, of requests neither.
      assert.isTrue(compile(list, "allow").connection(web).allowed)
      assert.isFalse(compile([make("web", "api", "deny", okta)], "allow").connection(web).allowed)
      assert.isTrue(compile([make("web", "api", "allow", { JWT: { Providers: [] } })]).connection(web).allowed)
    })
  })

  describe("peers", () => {
    const peers = [{ name: "east", trustDomain: "east.consul" }]
    const list = [
      make("web", "api", [permission("allow", { PathPrefix: "/v1" })], { SourcePeer: "east" }),
      make("*", "api", "allow")
    ]
    const { request } = compile(list, "deny", { peers })
    const gateway: SpiffeId.SpiffeId = { _tag: "MeshGateway", trustDomain, partition: "default", datacenter: "dc1" }
    const foreign = local("web", { trustDomain: "east.consul" })
    const forwarded = (...elements: ReadonlyArray<string>) => get("/v1", { "x-forwarded-client-cert": elements })

    it("are named by the local mesh gateway, in the first element", () => {
      const uri = SpiffeId.format(foreign)
      assert.isTrue(request(gateway, forwarded(`By=x;URI=${uri}`)).allowed)
      assert.isFalse(request(gateway, forwarded(`URI=${SpiffeId.format(gateway)}`, `URI=${uri}`)).allowed)
      assert.isFalse(request({ ...gateway, trustDomain: "east.consul" }, forwarded(`URI=${uri}`)).allowed)
    })

    it("may come with a certificate of their own, past gateways that open what they pass on", () => {
      assert.strictEqual(request(foreign, get("/v1")).by?.source, "peer:east/web")
      assert.isTrue(request(foreign, get("/v1")).allowed)
      assert.isFalse(request(foreign, get("/v2")).allowed)
      assert.isFalse(request(local("cron", { trustDomain: "east.consul" }), get("/v1")).allowed)
      // What holds by default is for our own.
      const open = compile(list, "allow", { peers })
      assert.isFalse(open.request(local("cron", { trustDomain: "east.consul" }), get("/v1")).allowed)
      assert.isFalse(open.request(local("web", { trustDomain: "west.consul" }), get("/v1")).allowed)
      assert.isTrue(open.request(local("cron"), get("/v1")).allowed)
    })

    it("are not named by anybody else, nor is anybody else by the gateway", () => {
      const uri = SpiffeId.format(foreign)
      assert.strictEqual(request(local("cron"), forwarded(`URI=${uri}`)).by?.source, "*")
      for (const element of [`URI=${SpiffeId.format(web)}`, "", "URI=nonsense"]) {
        assert.strictEqual(request(gateway, forwarded(element)).because, "not-a-service")
      }
      assert.strictEqual(compile(list).request(gateway, forwarded(`URI=${uri}`)).because, "not-a-service")
    })
  })
})

describe("trap", () => {
  it("2: one intention decides requests too; no fall-through from its list", () => {
    const list = [make("web", "api", [permission("allow", { PathPrefix: "/v1" })]), make("*", "api", "allow")]
    assert.strictEqual(compile(list).request(web, get("/v2")).because, "no-permission")
    assert.isFalse(compile(list).request(web, get("/v2")).allowed)
  })

  it("3: an unmatched list is the default policy, which may be allow", () => {
    const list = [make("web", "api", [permission("allow", { PathPrefix: "/v1" })])]
    assert.isTrue(compile(list, "allow").request(web, get("/v2")).allowed)
    assert.isFalse(compile(list, "deny").request(web, get("/v2")).allowed)
  })

  it("4: the query string is never matched", () => {
    assert.isTrue(holds({ PathExact: "/admin" }, get("/admin?x=1")))
    assert.isTrue(holds({ PathExact: "/admin" }, get("/admin#x")))
    assert.isFalse(holds({ PathRegex: "/admin.*x.*" }, get("/admin?x")))
    assert.isFalse(holds({ PathPrefix: "/admin?" }, get("/admin?x")))
  })

  it("5: a prefix has no boundary", () => {
    assert.isTrue(holds({ PathPrefix: "/v1" }, get("/v10")))
    assert.isFalse(holds({ PathPrefix: "/admin/" }, get("/admin")))
  })

  it("6: a regular expression is a full match with RE2 syntax", () => {
    assert.isFalse(holds({ PathRegex: "/a|/b" }, get("/ab")))
    assert.isFalse(holds({ PathRegex: "/a|/b" }, get("/x/b")))
    assert.isTrue(holds({ PathRegex: "/a|/b" }, get("/b")))
    assert.isTrue(holds({ PathRegex: "(?i)/(?P<n>A[[:digit:]])" }, get("/a1")))
    assert.isFalse(header({ Regex: "a.b" }, "xa.bx"))
  })

  it("7: an absent header fails even inverted", () => {
    for (const kind of ["Exact", "Prefix", "Suffix", "Contains", "Regex"]) {
      assert.isFalse(header({ [kind]: "a", Invert: true }))
      assert.isTrue(header({ [kind]: "a", Invert: true }, "b"))
      assert.isTrue(header({ [kind]: "a", Invert: true }, ""))
    }
    assert.isTrue(header({ Present: true, Invert: true }))
    assert.isFalse(header({ Present: true, Invert: true }, ""))
  })

  it("8: the lines of a repeated header have to pass joined by a comma, and one by one", () => {
    assert.isFalse(header({ Exact: "good" }, ["good", "evil"]))
    assert.isFalse(header({ Exact: "good,evil" }, ["good", "evil"]))
    assert.isFalse(header({ Exact: "good" }, "good,evil"))
    assert.isTrue(header({ Prefix: "good" }, ["good", "evil"]))
    assert.isTrue(header({ Suffix: "good" }, ["evil", "good"]))
    assert.isFalse(header({ Prefix: "good" }, ["evil", "good"]))
    assert.isFalse(header({ Contains: "d,e" }, ["good", "evil"]))
    assert.isTrue(header({ Contains: "d,e" }, "good,evil"))
    // One by one, an inverted matcher fails where any line is what it excludes.
    assert.isFalse(header({ Exact: "evil", Invert: true }, ["good", "evil"]))
    assert.isFalse(header({ Exact: "good,evil", Invert: true }, ["good", "evil"]))
    assert.isTrue(header({ Exact: "evil", Invert: true }, ["good", "fair"]))
    assert.isTrue(header({ Present: true }, ["good", "evil"]))
  })

  it("9: only ASCII letters fold", () => {
    assert.isTrue(header({ Exact: "ABC", IgnoreCase: true }, "abc"))
    assert.isFalse(header({ Exact: "É", IgnoreCase: true }, "é"))
    assert.isFalse(header({ Exact: "k", IgnoreCase: true }, "\u212a"))
    assert.isFalse(header({ Exact: "s", IgnoreCase: true }, "ſ"))
    assert.isFalse(header({ Regex: "ABC", IgnoreCase: true }, "abc"))
  })

  it("11: HTTP destinations are never refused at connection time", () => {
    // `http` tells the listener to let every caller connect and to ask for each request instead.
    const { http, request } = compile([make("web", "api", "deny")])
    assert.isTrue(http)
    assert.isFalse(request(web, get("/")).allowed)
  })
})
