import * as RealConsul from "./realConsul.ts"

/** Says what to do before any test fails for want of an agent, and what is left out for want of a program. */
export default () => {
  if (process.env["CONSUL_HTTP_ADDR"] === undefined) {
    throw new Error(
      "Which Consul? Set CONSUL_HTTP_ADDR to the HTTP API of an agent for tests, such as " +
        "consul agent -dev -hcl 'default_intention_policy = \"deny\"'"
    )
  }
  if (!RealConsul.isMissing) return
  const why =
    "the tests with ACLs and those of federations and gateways start Consuls of their own, and there is none on the PATH"
  if (process.env["CONSUL_BIN"] !== "none") {
    throw new Error(`Nothing was tested, as ${why}. Name one in CONSUL_BIN, or leave them out by CONSUL_BIN=none`)
  }
  process.stderr.write(`SKIPPED: ${why}.\n`)
}
