import { assert, describe, it } from "@effect/vitest"
import * as DialError from "../../src/outbound/DialError.ts"

describe("NoHealthyInstance", () => {
  it.each(
    [
      [
        { known: 1, unhealthy: ["\"Connect Sidecar Listening\" is critical"] },
        /^its only instance is not healthy: "Connect Sidecar Listening" is critical\. A new sidecar is critical until/
      ],
      [
        { known: 1, unhealthy: ["\"disk\" is maintenance"] },
        /^its only instance is not healthy: "disk" is maintenance\. Look at the checks/
      ],
      [
        { known: 2, unhealthy: ["\"a\" is critical", "\"b\" is critical"] },
        /^none of its 2 instances is healthy: "a" is critical, "b" is critical\. Look/
      ],
      [{ known: 9, unhealthy: ["1", "2", "3", "4", "5"] }, /: 1, 2, 3, and 2 reasons more\. Look/],
      [{ known: 3 }, /^none of its 3 instances is healthy\. Look at the checks/],
      [{ known: 0 }, /^no instance with a sidecar or a native integration is registered under this name/],
      [
        { known: 0, onlyHealthy: true },
        /^its query finds no healthy instance .* until its first check, up to 10 seconds/
      ]
    ] as const
  )(
    "says what is known of the instances: %j",
    (fields, expected) => assert.match(new DialError.NoHealthyInstance(fields).message, expected)
  )
})
