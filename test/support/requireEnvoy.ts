import { execFileSync } from "node:child_process"

/** Says what to do before any test fails for want of a program. */
export default () => {
  for (const [variable, what] of [["CONSUL_BIN", "Consul"], ["ENVOY_BIN", "Envoy"]] as const) {
    const program = process.env[variable]
    const advice =
      `Set ${variable} to the ${what} that the tests are to start, such as ${variable}=$(which ${what.toLowerCase()})`
    if (program === undefined) throw new Error(`Which ${what}? ${advice}`)
    try {
      execFileSync(program, ["--version"], { stdio: "ignore", timeout: 20_000 })
    } catch (cause) {
      throw new Error(`${variable}=${program} cannot be run. ${advice}`, { cause })
    }
  }
}
