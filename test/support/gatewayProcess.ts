/** A mesh gateway as a process of its own, registered while it runs. */
import * as SidecarProcess from "./sidecarProcess.ts"

export interface Options {
  /** Of the API of its agent. */
  readonly address: string
  readonly id: string
  readonly port: number
  /** Where other datacenters reach it, if not where it listens. */
  readonly wanPort?: number
}

export const start = ({ address, id, port, wanPort = port }: Options) =>
  SidecarProcess.start({
    command: "gateway",
    args: [
      ...["--mesh", "--register", "--proxy-id", id, "--http-addr", address],
      ...["--address", `127.0.0.1:${port}`, "--wan-address", `127.0.0.1:${wanPort}`]
    ]
  })
