import { Arbitrary, Result, Schema } from "effect"
import { assert, describe, it } from "@effect/vitest"
import * as Document from "../../../src/policy/source/Document.ts"
import * as Entries from "../../../src/policy/source/Entries.ts"
import * as print from "../../support/printEntries.ts"

const read = (...sources: ReadonlyArray<readonly [string, string]>) =>
  Entries.read(sources.map(([file, text]) => ({ file, text })))

const problems = (file: string, text: string): ReadonlyArray<string> => {
  const result = read([file, text])
  return Result.isFailure(result) ? result.failure.map(Document.format) : []
}

const entries = (file: string, text: string): Entries.Entries => {
  const result = read([file, text])
  if (Result.isFailure(result)) throw new Error(result.failure.map(Document.format).join("\n"))
  return result.success
}

const wanted = {
  intentions: [
    ["web", "api", undefined, [{ Action: "allow", HTTP: { PathPrefix: "/v1/", Methods: ["GET", "POST"] } }]],
    ["*", "api", "deny", undefined]
  ],
  services: [["api", "http"], ["api", undefined]],
  defaultProtocol: "grpc",
  normalization: { MergeSlashes: true }
}

const said = ({ defaultProtocol, intentions, normalization, services }: Entries.Entries) => ({
  intentions: intentions.map((each) => [each.SourceName, each.DestinationName, each.Action, each.Permissions]),
  services: services.map(({ protocol, service }) => [service, protocol]),
  defaultProtocol,
  normalization
})

const hcl = `
config_entries {
  bootstrap = [
    { Kind = "proxy-defaults", Name = "global", Config { protocol = "grpc" } },
    { kind = "mesh", http { incoming { request_normalization { merge_slashes = true } } } },
    { kind = "service-defaults" name = "api" protocol = "http" }
  ]
  bootstrap {
    Kind = "service-intentions"
    Name = "api"
    Sources = [
      {
        Name = "web"
        Permissions = [{
          Action = "allow"
          HTTP { PathPrefix = "/v1/", Methods = ["GET", "POST"] }
        }]
      },
      { Name = "*", Action = "deny" }
    ]
  }
}
`

const resources = `
apiVersion: consul.hashicorp.com/v1alpha1
kind: ProxyDefaults
metadata: { name: global, namespace: consul }
spec: { config: { protocol: grpc } }
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: Mesh
metadata: { name: mesh }
spec: { http: { incoming: { requestNormalization: { mergeSlashes: true } } } }
---
apiVersion: v1
kind: List
items:
  - apiVersion: consul.hashicorp.com/v1alpha1
    kind: ServiceDefaults
    metadata: { name: api, namespace: shop }
    spec: { protocol: http }
  - apiVersion: consul.hashicorp.com/v1alpha1
    kind: ServiceIntentions
    metadata: { name: who-may-call-api, namespace: shop, labels: { team: shop } }
    spec:
      destination: { name: api }
      sources:
        - name: web
          permissions:
            - action: allow
              http: { pathPrefix: /v1/, methods: [GET, POST] }
        - { name: "*", action: deny }
    status: { conditions: [] }
`

describe("sources", () => {
  it("say the same as HCL, and as resources of Kubernetes", () => {
    assert.deepStrictEqual(said(entries("mesh.hcl", hcl)), wanted)
    assert.deepStrictEqual(said(entries("mesh.yaml", resources)), wanted)
    assert.deepStrictEqual(
      [...new Set(entries("mesh.yaml", resources).intentions.map((each) => each.DestinationNS))],
      ["default"],
      "the namespace of a resource is none of Consul's"
    )
  })

  it("say the same as YAML of config entries, and as JSON of resources", () => {
    const [entry, resource] = [
      "Kind: service-intentions\nName: api\nSources:\n  - Name: web\n    Action: allow\n",
      JSON.stringify({
        apiVersion: "consul.hashicorp.com/v1alpha1",
        kind: "ServiceIntentions",
        metadata: { name: "x" },
        spec: { destination: { name: "api" }, sources: [{ name: "web", action: "allow" }] }
      })
    ].map((text) => said(entries("-", text)).intentions)
    assert.deepStrictEqual(entry, [["web", "api", "allow", undefined]])
    assert.deepStrictEqual(resource, entry)
  })

  it("take the forms that people write in HCL", () => {
    const forms = [
      "Sources = [{ Name = \"web\", Action = \"allow\" }]",
      "Sources { Name = \"web\", Action = \"allow\" }",
      "Sources = { Name = \"web\", Action = \"allow\" }",
      "sources = [\n  # who\n  {\n    name = \"web\"\n    action = <<EOF\nallow\nEOF\n  }\n]".replace(
        "<<EOF\nallow\nEOF",
        "\"allow\""
      ),
      "\"Sources\" = [{ \"Name\" = [\"web\"], \"Action\" = \"allow\" }]"
    ]
    for (const form of forms) {
      const text = `Kind = "service-intentions"\nName = "api"\n${form}\n`
      assert.deepStrictEqual(said(entries("a.hcl", text)).intentions, [["web", "api", "allow", undefined]], form)
    }
    const several = "Kind = \"service-intentions\"\nName = \"api\"\n" +
      "Sources { Name = \"web\" Action = \"allow\" }\nSources { Name = \"db\" Action = \"deny\" }"
    assert.deepStrictEqual(said(entries("a.hcl", several)).intentions.map(([name]) => name), ["web", "db"])
  })

  /** What `consul config write` of Consul 1.21 stores of each, or that it refuses it. */
  it.each<readonly [string, object, unknown]>([
    ["one permission for a list of one", {
      Permissions: { Action: "allow", HTTP: { PathPrefix: "/a" } }
    }, [{ Action: "allow", HTTP: { PathPrefix: "/a" } }]],
    ["a list of one for an object", {
      Permissions: [{ Action: "allow", HTTP: [{ PathPrefix: "/v2/" }] }]
    }, [{ Action: "allow", HTTP: { PathPrefix: "/v2/" } }]],
    ["a text for a list, and a list for a text", {
      Permissions: [{ Action: ["allow"], HTTP: { PathExact: ["/"], Methods: "get" } }]
    }, [{ Action: "allow", HTTP: { PathExact: "/", Methods: ["GET"] } }]],
    ["texts and numbers for booleans, and the other way round", {
      Permissions: [{
        Action: "allow",
        HTTP: {
          Header: [{ Name: "a", Present: "true" }, { Name: "b", Exact: 12 }, { Name: 3, Exact: true, Invert: 1 }]
        }
      }]
    }, [{
      Action: "allow",
      HTTP: {
        Header: [{ Name: "a", Present: true }, { Name: "b", Exact: "12" }, { Name: "3", Exact: "1", Invert: true }]
      }
    }]],
    ["large numbers without an exponent", {
      Permissions: [{ Action: "allow", HTTP: { Header: { Name: "a", Exact: 1e21 } } }]
    }, [{ Action: "allow", HTTP: { Header: [{ Name: "a", Exact: "1000000000000000000000" }] } }]],
    ["an empty object for an empty list", {
      Permissions: [{ Action: "allow", HTTP: { PathExact: "/", Header: {} } }]
    }, [{ Action: "allow", HTTP: { PathExact: "/" } }]]
  ])("are read as weakly as Consul reads: %s", (_, source, permissions) => {
    const text = JSON.stringify({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", ...source }] })
    assert.deepStrictEqual<unknown>(entries("a.json", text).intentions[0]!.Permissions, permissions)
  })

  it.each([
    [
      "a list of two for an object",
      { HTTP: [{ PathPrefix: "/" }, { PathPrefix: "/a" }] },
      /an object belongs here, and this is a list/
    ],
    ["an empty list for an object", { HTTP: [] }, /an object belongs here/],
    ["a list of lists", { HTTP: [[{ PathPrefix: "/" }]] }, /an object belongs here/],
    ["a text that is no boolean", { HTTP: { Header: [{ Name: "a", Present: "yes" }] } }, /true or false belongs here/],
    ["nothing in a list", { HTTP: { Methods: [null, "GET"] } }, /there is nothing at this place of the list/],
    ["a template", { HTTP: { PathPrefix: "/{{ .Values.path }}" } }, /a template that nobody has filled in/]
  ])("are refused with %s", (_, permission, message) => {
    const text = JSON.stringify({
      Kind: "service-intentions",
      Name: "api",
      Sources: [{ Name: "web", Permissions: [{ Action: "allow", ...permission }] }]
    })
    assert.match(problems("a.json", text).join("\n"), message)
  })

  it("take what the API lists for the entries that it was made from", () => {
    const row = {
      ID: "1",
      SourceNS: "default",
      DestinationNS: "default",
      SourceType: "consul",
      Meta: {},
      Precedence: 9,
      CreatedAt: "2026-01-01T00:00:00Z",
      UpdatedAt: "2026-01-01T00:00:00Z",
      CreateIndex: 1,
      ModifyIndex: 2,
      Hash: "AA=="
    }
    const rows = [
      { ...row, SourceName: "web", DestinationName: "api", Action: "allow" },
      { ...row, SourceName: "*", DestinationName: "*", Action: "deny" },
      {
        ...row,
        SourceName: "db",
        DestinationName: "api",
        Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }]
      }
    ]
    assert.deepStrictEqual(said(entries("-", JSON.stringify(rows))).intentions, [
      ["web", "api", "allow", undefined],
      ["db", "api", undefined, [{ Action: "allow", HTTP: { PathPrefix: "/" } }]],
      ["*", "*", "deny", undefined]
    ])
    assert.match(problems("-", JSON.stringify([...rows, rows[0]], null, 1)).join(), /^-:\d+:\d+: the source web exists/)
    assert.match(problems("-", JSON.stringify([{ ...rows[0], Actoin: "x" }])).join(), /the field Actoin is not known/)
    assert.match(problems("-", JSON.stringify([rows[0], 1])).join(), /an intention belongs here/)
  })

  it("take several entries that were printed in a row", () => {
    const one = (Name: string) => JSON.stringify({ Kind: "service-defaults", Name, Protocol: "http" }, null, 4)
    assert.deepStrictEqual(said(entries("-", `${one("a")}\n${one("b")}\n`)).services, [["a", "http"], ["b", "http"]])
  })

  it("tell the default policy of an agent's configuration", () => {
    const policy = (text: string) => entries("agent.hcl", text).defaultPolicy
    assert.strictEqual(policy("default_intention_policy = \"allow\""), "allow")
    assert.strictEqual(policy("acl { enabled = true default_policy = \"deny\" }"), "deny")
    assert.strictEqual(
      policy("acl { enabled = true default_policy = \"deny\" }\ndefault_intention_policy = \"allow\""),
      "allow"
    )
    assert.strictEqual(policy("acl { enabled = false default_policy = \"deny\" }"), undefined)
    const two = read(["a.hcl", "default_intention_policy = \"allow\""], [
      "b.json",
      "{\"default_intention_policy\": \"deny\"}"
    ])
    assert.match(
      Result.isFailure(two) ? two.failure.map(Document.format).join() : "",
      /deny here, and allow at a\.hcl:1:28/
    )
  })

  it("give the place of each mistake, in every format", () => {
    assert.deepStrictEqual(
      problems("a.hcl", "Kind = \"service-intentions\"\nName = \"api\"\nSources {\n  Nmae = \"web\"\n}")[0],
      "a.hcl:4:3: the field Nmae is not known; correct it, or remove it: known are Name, Namespace, Partition, Peer, " +
        "SamenessGroup, Action, Permissions, Precedence, Type, Description, LegacyID, LegacyMeta, LegacyCreateTime, " +
        "LegacyUpdateTime"
    )
    assert.match(
      problems("a.yaml", resources.replace("action: deny", "action: audit")).join(),
      /^a\.yaml:29:32: Action must be/
    )
    assert.match(
      problems("a.yaml", resources.replace("PathPrefix", "x").replace("pathPrefix", "PathPrefix")).join(),
      /^a\.yaml:28:23: the field PathPrefix is not known; .*known are pathExact, pathPrefix, /
    )
    assert.match(
      problems("a.yaml", resources.replace("[GET, POST]", "GET")).join(),
      /a list belongs here, and this is a text/
    )
  })

  it.each([
    [
      "a misspelt field of service-defaults",
      "a.json",
      "{\"Kind\":\"service-defaults\",\"Name\":\"api\",\"Protcol\":\"http\"}",
      /Protcol is not known/
    ],
    [
      "a misspelt field of mesh",
      "a.hcl",
      "Kind = \"mesh\"\nHTTP { Incoming { RequestNormalisation { } } }",
      /RequestNormalisation is not known/
    ],
    [
      "proxy-defaults that are not the global ones",
      "a.hcl",
      "Kind = \"proxy-defaults\"\nName = \"mine\"",
      /has the name global/
    ],
    ["a mesh entry by another name", "a.yaml", resources.replace("name: mesh ", "name: other "), /has the name mesh/],
    [
      "a resource of another version",
      "a.yaml",
      resources.replace("v1alpha1", "v2"),
      /^a\.yaml:3:7: ProxyDefaults of consul\.hashicorp\.com\/v2 is not known/
    ],
    [
      "a resource of another group of Consul",
      "a.yaml",
      "apiVersion: auth.consul.hashicorp.com/v2beta1\nkind: TrafficPermissions\n",
      /TrafficPermissions of auth\.consul/
    ],
    [
      "a kind that nobody knows",
      "a.yaml",
      resources.replace("kind: Mesh", "kind: Mash"),
      /the kind Mash .* is not known/
    ],
    [
      "a resource with fields outside of its spec",
      "a.yaml",
      resources.replace("spec: { protocol", "protocol: x\n    spec: { protocol"),
      /the field protocol is not known in a resource/
    ],
    ["a resource without a kind", "a.yaml", "apiVersion: consul.hashicorp.com/v1alpha1\n", /has no kind/],
    [
      "intentions without a destination",
      "a.yaml",
      resources.replace("destination: { name: api }", "destination: {}"),
      /the entry has no name/
    ],
    [
      "a Kustomization",
      "kustomization.yaml",
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
      /kubectl kustomize/
    ],
    [
      "entries inside of a text",
      "a.yaml",
      "apiVersion: v1\nkind: ConfigMap\ndata:\n  a.hcl: 'Kind = \"service-intentions\"'\n",
      /^a\.yaml:4:10: this text of the ConfigMap/
    ],
    ["statements", "a.json", "{\"assertions\": []}", /statements for `effect-mesh policy verify`, and no policy/],
    ["Terraform", "a.tf.json", "{\"resource\": {}}", /Terraform/],
    ["settings of an agent that say nothing here", "a.hcl", "data_dir = \"/opt\"", /the field Kind is missing/],
    ["a scalar", "a.json", "1", /an entry belongs here, and this is a number/],
    [
      "two entries of the mesh",
      "a.json",
      "[{\"Kind\":\"mesh\"},{\"Kind\":\"mesh\",\"Name\":\"mesh\"}]",
      /mesh exists already|mesh +exists/
    ],
    [
      "a resource for Consul within another resource",
      "wrap.yaml",
      "kind: Template\napiVersion: template.openshift.io/v1\nmetadata: {name: t}\nobjects:\n- kind: ServiceIntentions\n  " +
      "apiVersion: consul.hashicorp.com/v1alpha1\n",
      /this text of the Template speaks of Consul's config entries/
    ],
    [
      "an intention among the settings of an agent",
      "a.json",
      `{"service":{"name":"api"},"sources":[{"name":"*","action":"allow"}]}`,
      /Sources belongs into a config entry/
    ],
    [
      "entries of an agent under a misspelt name",
      "a.yaml",
      "service: {name: api}\nconfig_entries:\n  bootstrp: []\n",
      /config_entries has one field, bootstrap/
    ]
  ])("are refused with %s", (_, file, text, message) => assert.match(problems(file, text).join("\n"), message))

  it.each(["${SERVICE}", "$(SERVICE)\n", "web api", "{web}"])("are refused with %j for a name", (Name) => {
    const text = JSON.stringify({ Kind: "service-intentions", Name: "api", Sources: [{ Name, Action: "allow" }] })
    assert.match(problems("a.json", text).join(), /is no name; if it is a template, give what is made of it/)
  })

  it("keep what looks like a template in a value that requests are compared with", () => {
    const header = { Name: "x-api-version", Contains: "${jndi:" }
    const permission = { Action: "deny", HTTP: { Header: [header] } }
    const text = JSON.stringify({
      Kind: "service-intentions",
      Name: "api",
      Sources: [{ Name: "web", Permissions: [permission] }]
    })
    assert.deepStrictEqual<unknown>(entries("a.json", text).intentions[0]!.Permissions, [permission])
  })

  it("note the resources of others, by name, and read on", () => {
    const text =
      `${resources}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: api }\n---\napiVersion: v1\nkind: Service\n`
    const found = entries("a.yaml", text)
    assert.deepStrictEqual(said(found), wanted)
    assert.deepStrictEqual(found.notes.map(Document.format), [
      "a.yaml:33:7: left out, being none of Consul's: Deployment api, Service"
    ])
  })

  it("pass over what is Consul's and says nothing about callers", () => {
    const text = "apiVersion: consul.hashicorp.com/v1alpha1\nkind: ControlPlaneRequestLimit\nmetadata: { name: x }\n"
    assert.deepStrictEqual(said(entries("a.yaml", text)).intentions, [])
    assert.deepStrictEqual(
      said(entries("a.hcl", "Kind = \"control-plane-request-limit\"\nName = \"x\"")).intentions,
      []
    )
  })

  const Text = Schema.Literals([
    "a",
    "x-b",
    "*",
    "/v1",
    "ünï",
    "a\"b\\c",
    "#d",
    "- e",
    "yes",
    "010",
    "1_0",
    "null",
    "~",
    "a: b",
    "$f$",
    " g ",
    "true"
  ])
  const matcher = Schema.Struct({
    Name: Schema.Literals(["x-a", "x-b"]),
    Exact: Text,
    Invert: Schema.optionalKey(Schema.Boolean)
  })
  const permission = Schema.Struct({
    Action: Schema.Literals(["allow", "deny"]),
    HTTP: Schema.Struct({
      PathPrefix: Schema.Literals(["/", "/v1/", "/a b"]),
      Header: Schema.Array(matcher).check(Schema.isMaxLength(2)),
      Methods: Schema.optionalKey(Schema.Tuple([Schema.Literals(["GET", "PUT"])]))
    })
  })
  const source = Schema.Struct({
    Description: Text,
    Permissions: Schema.NonEmptyArray(permission).check(Schema.isMaxLength(3))
  })
  const generated = Arbitrary.schema(Schema.NonEmptyArray(source).check(Schema.isMaxLength(3))).pipe(
    Arbitrary.map((sources) => ({
      Kind: "service-intentions",
      Name: "api",
      Sources: sources.map((source, i) => ({ Name: `s-${i}`, ...source }))
    }))
  )

  it.prop("are the same policy, in whatever format they are printed", { entry: generated }, ({ entry }) => {
    const json = entries("a.json", JSON.stringify(entry)).intentions
    assert.deepStrictEqual(entries("a.hcl", print.hclBlocks(entry)).intentions, json)
    assert.deepStrictEqual(entries("b.hcl", print.hclLists(entry)).intentions, json)
    assert.deepStrictEqual(entries("a.yaml", print.yaml(entry)).intentions, json)
    assert.deepStrictEqual(entries("b.yaml", print.resource(entry)).intentions, json)
  })
})
