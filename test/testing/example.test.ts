import { assert, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Assertion from "../../src/policy/question/Assertion.ts"
import * as AssertionFile from "../../src/policy/question/AssertionFile.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Policy from "../../src/testing/Policy.ts"
import "../../examples/policy-tests/policy.test.ts"

const example = new URL("../../examples/policy-tests/", import.meta.url)
const file = readFileSync(new URL("assertions.json", example), "utf8")
const { assertions } = Result.getOrThrow(AssertionFile.read("assertions.json", file))
const mesh = Mesh.make(Policy.read(fileURLToPath(new URL("policy", example)), { defaultPolicy: "deny" }))

it.each(assertions)("the example's statement is proved: $name", (assertion) => {
  assert.deepStrictEqual(Assertion.verify(mesh, assertion).verdict, { _tag: "Proved" })
})
