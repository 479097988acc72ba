/** The flags of the admin interface. */
import { Flag } from "effect/cli"

export const flags = {
  adminBind: Flag.String("admin-bind").pipe(
    Flag.withDescription(
      "Where operators, probes and collectors ask this process: 127.0.0.1:PORT or unix:/path/to/socket; default: nowhere"
    ),
    Flag.withMetavar("ADDRESS"),
    Flag.optional
  ),
  adminTokenFile: Flag.String("admin-token-file").pipe(
    Flag.withDescription(
      "File with the token that changes over --admin-bind need; read again for each. A Unix socket needs none"
    ),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  adminAllowRemote: Flag.Boolean("admin-allow-remote").pipe(
    Flag.withDescription("Let --admin-bind be an address that other machines reach, where everybody can read it"),
    Flag.withDefault(false)
  ),
  pprofAddr: Flag.String("pprof-addr").pipe(
    Flag.withDescription("What consul connect proxy calls it: --admin-bind, on this machine unless a host is given"),
    Flag.withMetavar("[HOST]:PORT"),
    Flag.optional
  )
}
