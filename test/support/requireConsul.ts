/** Says what to do before any test fails for want of an agent. */
export default () => {
  if (process.env["CONSUL_HTTP_ADDR"] === undefined) {
    throw new Error(
      "Which Consul? Set CONSUL_HTTP_ADDR to the HTTP API of an agent for tests, such as " +
        "consul agent -dev -hcl 'default_intention_policy = \"deny\"'"
    )
  }
}
