import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as PathNormalization from "../../src/intention/PathNormalization.ts"

const normalize = (path: string, settings?: PathNormalization.RequestNormalization) => {
  const result = PathNormalization.normalize(path, settings)
  return result._tag === "Path" ? result.path : result._tag === "Redirect" ? `307 ${result.path}` : "400"
}

/** Pieces that steps of the normalisation care about, in every combination. */
const paths = Arbitrary.schema(
  Schema.Array(
    Schema.Literals([
      "/",
      "//",
      ".",
      "..",
      "%2e",
      "%2E",
      "\\",
      "%5c",
      "%2f",
      "%",
      "%%",
      "3",
      "0",
      "a",
      "%41",
      "%7e",
      "{",
      "é"
    ])
  )
).pipe(Arbitrary.map((pieces) => `/${pieces.join("")}`))

describe("PathNormalization", () => {
  it.each([
    ["/a/../b", "/b"],
    ["/a/%2E%2e/c", "/c"],
    ["/a/..\\c", "/c"],
    ["/value/%73ecret", "/value/secret"],
    ["/../../c", "/c"],
    ["a/b", "/a/b"],
    ["", "/"],
    ["/.", "/"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/a/b/..", "/a/"],
    ["/a/./b", "/a/b"],
    ["/a//../b", "/a/b"],
    ["/a/.b/..c/d.", "/a/.b/..c/d."],
    ["/a/.%2e/b", "/b"],
    ["/%7euser/%2Dx", "/~user/-x"],
    ["/a b\"{|}", "/a%20b%22%7B%7C%7D"]
  ])("turns %j into %j", (path, expected) => assert.strictEqual(normalize(path), expected))

  it.each([
    "/",
    "//",
    "/a//b",
    "/%2F",
    "/a%2fb",
    "/%5c",
    "/%25",
    "/%c0%af",
    "/%aB",
    "/Admin",
    "/a?x=/../%41#".slice(0, -1),
    "/a%"
  ])(
    "leaves %j as it is",
    (path) => assert.strictEqual(normalize(path), path)
  )

  it("refuses a NUL, escaped or not, and a fragment", () => {
    for (const path of ["/%00", "/a\0", "/a%00/../b", "/a#b", "/a?b#c"]) assert.strictEqual(normalize(path), "400")
    assert.strictEqual(normalize("/a?%00"), "/a?%00")
  })

  it("never lets unescaping make a new escape", () => {
    assert.strictEqual(normalize("/%%30%30"), "/%2500")
    assert.strictEqual(normalize("/%0{"), "/%250%7B")
    assert.strictEqual(normalize("/%\\.\\{"), "/%/%7B")
    assert.strictEqual(normalize("/%2%65%2%65/b"), "/%252e%252e/b")
  })

  it("does nothing when it is disabled, but for what else is asked", () => {
    const InsecureDisablePathNormalization = true
    assert.strictEqual(normalize("/a/../%41", { InsecureDisablePathNormalization }), "/a/../%41")
    assert.strictEqual(normalize("/a//../b", { InsecureDisablePathNormalization, MergeSlashes: true }), "/a/../b")
  })

  it("merges slashes in the path only, and after the rest", () => {
    assert.strictEqual(normalize("//a///b/?c=//d", { MergeSlashes: true }), "/a/b/?c=//d")
    assert.strictEqual(normalize("/a/\\b", { MergeSlashes: true }), "/a/b")
  })

  it("does with escaped slashes what is asked", () => {
    const on = (PathWithEscapedSlashesAction: string) =>
      normalize("/a%2F..%5Cb?c=%2F", { PathWithEscapedSlashesAction })
    assert.strictEqual(on("IMPLEMENTATION_SPECIFIC_DEFAULT"), "/a%2F..%5Cb?c=%2F")
    assert.strictEqual(on("KEEP_UNCHANGED"), "/a%2F..%5Cb?c=%2F")
    assert.strictEqual(on("REJECT_REQUEST"), "400")
    assert.strictEqual(on("UNESCAPE_AND_FORWARD"), "/b?c=%2F")
    assert.strictEqual(on("UNESCAPE_AND_REDIRECT"), "307 /b?c=%2F")
    assert.strictEqual(normalize("/a?%2F", { PathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" }), "/a?%2F")
  })

  it.prop("changes nothing the second time", { path: paths }, ({ path }) => {
    const once = normalize(path)
    if (once !== "400") assert.strictEqual(normalize(once), once)
  }, { arbitrary: { runs: 1000 } })

  it.prop("leaves no dot segment, backslash or needless escape", { path: paths }, ({ path }) => {
    const result = normalize(path)
    if (result === "400") return
    assert.notMatch(result, /\\|%2e|%41|%7e|[^ -~]/i)
    assert.isTrue(result.split("/").every((segment) => segment !== "." && segment !== ".."))
    assert.isTrue(result.startsWith("/"))
  })
})
