/**
 * `effect-mesh check` with the tokens of a Consul that has ACLs, which the test starts: see `acls.integration.test.ts`. Without one it is
 * skipped, and says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../support/ports.ts"
import { meshWith } from "../support/meshCommand.ts"
import * as RealConsul from "../support/realConsul.ts"

const why = RealConsul.binary === undefined ? " (skipped: no Consul; name the program in CONSUL_BIN)" : ""

describe.skipIf(RealConsul.binary === undefined)(`check, asking a Consul with ACLs${why}`, () => {
  it.live("says which right a token lacks", () =>
    Effect.gen(function*() {
      const consul = yield* RealConsul.start
      const [port, local] = [yield* freePort, yield* freePort]
      yield* consul.ask("PUT", "/v1/agent/service/register", {
        Name: "web",
        Port: 1,
        Connect: {
          SidecarService: {
            Port: port,
            Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: local }] }
          }
        }
      })
      const token = (body: object) => Effect.map(consul.ask("PUT", "/v1/acl/token", body), ({ SecretID }) => SecretID)
      const check = (token: string) =>
        Effect.gen(function*() {
          const variables = { CONSUL_HTTP_ADDR: consul.address, CONSUL_HTTP_TOKEN: token }
          const program = yield* meshWith(variables, "check", "--proxy-id", "web-sidecar-proxy")
          assert.strictEqual(yield* program.ended, 2, program.printed())
          return program.output()
        })

      const ofWeb = yield* check(yield* token({ ServiceIdentities: [{ ServiceName: "web" }] }))
      assert.match(ofWeb, /✓ the agent knows the token: accessor/)
      assert.match(ofWeb, /! the token may not read the agent.*\n {6}→ Give it agent:read/)
      assert.match(ofWeb, /✓ the certificate is spiffe:.*\/svc\/web/)
      assert.notMatch(ofWeb, /service:write/)

      // The agent has the certificate of web by now, and gives it to this token too.
      const ofOther = yield* check(yield* token({ ServiceIdentities: [{ ServiceName: "other" }] }))
      assert.match(ofOther, /✗ .*the token may not.*\n {6}→ Give its policies service:write on web/)

      const ofNobody = yield* check("5b8a1c3e-1111-4222-8333-444455556666")
      assert.match(ofNobody, /✗ cannot see who the token is: the agent does not know the token\n {6}→ Set a valid one/)

      const ofNone = yield* check("")
      assert.match(ofNone, /! no token is sent, and the agent has ACLs/)
      assert.match(ofNone, /✗ .*web-sidecar-proxy.*\n {6}→ .*service:read/)
    }), 90_000)
})
