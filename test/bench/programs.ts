/** Proxies of others, where they are installed. */
import { spawnSync } from "node:child_process"

export type Name = "consul" | "envoy" | "haproxy"

export interface Program {
  readonly path: string
  /** As it says itself. */
  readonly version: string
}

const asked = {
  consul: { args: ["version"], version: /Consul v(\S+)/ },
  envoy: { args: ["--version"], version: /version: [0-9a-f]+\/([^/]+)\// },
  haproxy: { args: ["-v"], version: /version (\S+)/ }
} as const

/** As `CONSUL_BIN`, `ENVOY_BIN` or `HAPROXY_BIN` says, or on the PATH. */
export const find = (name: Name): Program | undefined => {
  const path = process.env[`${name.toUpperCase()}_BIN`] || name
  const { args, version } = asked[name]
  const { status, stdout } = spawnSync(path, args, { timeout: 20_000, encoding: "utf8" })
  return status === 0 ? { path, version: version.exec(stdout)?.[1] ?? "?" } : undefined
}

/** Versions of all that are found. */
export const versions = (): Readonly<Record<string, string>> =>
  Object.fromEntries((["consul", "envoy", "haproxy"] as const).flatMap((name) => {
    const program = find(name)
    return program === undefined ? [] : [[name, program.version]]
  }))
