/** Where the admin interface listens. It tells much and needs no password to be read: so it stays on this machine. */
import * as Net from "node:net"
import { Result } from "effect"
import type * as Listening from "../net/Listening.ts"

/** Nobody but the user of this process may open it. */
const onlyOwner = 0o600

/** `127.0.0.1:19000`, `[::1]:19000`, `localhost:19000`, or `unix:/run/mesh/admin.sock`. Fails with what is wrong with it. */
export const parse = (text: string, anyAddress: boolean): Result.Result<Listening.Bind, string> => {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "")
    return path === ""
      ? Result.fail("names no socket: write unix:/path/to/socket")
      : Result.succeed({ path, mode: onlyOwner })
  }
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    return Result.fail(`is ${JSON.stringify(text)}: write 127.0.0.1:PORT, [::1]:PORT or unix:/path/to/socket`)
  }
  return anyAddress || isLoopback(host) ? Result.succeed({ host: host === "" ? "::" : host, port }) : Result.fail(
    `is ${
      JSON.stringify(text)
    }, which other machines may reach: the admin interface tells everybody who asks which services ` +
      "call which, and is not encrypted. Use 127.0.0.1 or unix:/path/to/socket, or add --admin-allow-remote if the network " +
      "is as private as that"
  )
}

const loopback = new Net.BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

const isLoopback = (host: string): boolean =>
  host === "localhost" || (Net.isIP(host) !== 0 && loopback.check(host, Net.isIPv6(host) ? "ipv6" : "ipv4"))
