import { assert, describe, it } from "@effect/vitest"
import { CliError } from "effect/cli"
import * as Usage from "../../src/cli/Usage.ts"

const flag = (option: string, ...suggestions: ReadonlyArray<string>) =>
  new CliError.UnrecognizedOption({ option, suggestions })

describe("Usage", () => {
  it.each([
    [flag("--sidecar-fro", "--sidecar-for"), "there is no flag --sidecar-fro; did you mean --sidecar-for?"],
    [flag("--bogus"), "there is no flag --bogus"],
    [
      new CliError.UnknownSubcommand({ subcommand: "chek", suggestions: ["check"] }),
      "there is no command chek; did you mean check?"
    ],
    [
      new CliError.InvalidValue({
        option: "file",
        value: "mesh.json",
        expected: "Path does not exist: /tmp/mesh.json",
        kind: "argument"
      }),
      "Invalid value for argument <file>: \"mesh.json\". Path does not exist: /tmp/mesh.json"
    ],
    [new CliError.MissingArgument({ argument: "source" }), "source is missing"],
    [new CliError.MissingOption({ option: "service" }), "--service is missing"]
  ])(
    "says in one line what is wrong: %s",
    (error, expected) => assert.strictEqual(Usage.describe(error), expected)
  )

  it("says where a wrong flag stands, if not on the command line", () => {
    const error = new CliError.InvalidValue({
      option: "start-timeout",
      value: "soon",
      expected: "a number",
      kind: "flag"
    })
    const origins = new Map([["start-timeout", "proxy.yaml"], ["audit", "flag"]])
    assert.match(Usage.describe(error, origins), /^proxy.yaml: Invalid value for flag --start-timeout/)
    assert.strictEqual(Usage.describe(flag("--audti"), origins), "there is no flag --audti")
    assert.strictEqual(Usage.describe(flag("--audit"), origins), "there is no flag --audit")
  })
})
