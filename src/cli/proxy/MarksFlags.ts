/** What a proxy says of itself over HTTP. */
import { Flag } from "effect/cli"
import * as Marks from "../../http/relay/Marks.ts"

export const flags = {
  serverHeader: Flag.String("server-header").pipe(
    Flag.withDescription("What answers over HTTP say in Server; empty: what the application says; default: envoy"),
    Flag.withMetavar("TEXT"),
    Flag.withDefault("envoy")
  ),
  withoutEnvoyHeaders: Flag.Boolean("without-envoy-headers").pipe(
    Flag.withDescription("Add no x-envoy-* headers, but for x-envoy-overloaded"),
    Flag.withDefault(false)
  )
}

export const marks = (options: {
  readonly serverHeader: string
  readonly withoutEnvoyHeaders: boolean
}): Marks.Marks => ({
  ...(options.withoutEnvoyHeaders ? Marks.none : Marks.envoy),
  server: options.serverHeader === "" ? undefined : options.serverHeader
})
