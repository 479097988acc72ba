import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as vm from "node:vm"
import * as MeshPage from "../../src/admin/dashboard/MeshPage.ts"
import * as Page from "../../src/admin/dashboard/Page.ts"

const between = (html: string, tag: string): string => html.split(`<${tag}>`)[1]!.split(`</${tag}>`)[0]!

describe.each([["the dashboard", Page], ["the page of the mesh", MeshPage]] as const)("%s", (_, { headers, html }) => {
  it("has a script that a browser can read", () => {
    assert.doesNotThrow(() => new vm.Script(between(html, "script")))
  })

  it("allows its own script and style, and nothing else", () => {
    const policy = headers["content-security-policy"]
    for (const tag of ["script", "style"]) {
      const hash = createHash("sha256").update(between(html, tag)).digest("base64")
      assert.include(policy, `${tag}-src 'sha256-${hash}'`)
    }
    assert.include(policy, "default-src 'none'")
    assert.notInclude(policy, "unsafe")
    assert.notMatch(html, / (?:on\w+|style)="/, "what the policy forbids")
  })

  it("names nothing that is elsewhere", () => {
    const known = "http://www.w3.org/2000/svg"
    assert.notMatch(html.replaceAll(known, ""), /https?:\/\/[a-z]/)
  })

  it("has every element that its script asks for", () => {
    const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    const asked = [...between(html, "script").matchAll(/byId\("([^"]+)"\)/g)].map(([, id]) => id!)
    assert.isAbove(asked.length, 10)
    assert.deepStrictEqual(asked.filter((id) => !ids.has(id)), [])
  })
})
