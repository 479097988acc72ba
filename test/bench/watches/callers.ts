/** A caller with one connection to each of many services. Told to open them; tells of each when it has seen its end. */
import type * as Tls from "node:tls"
import * as Connections from "../deny/connections.ts"
import * as Caller from "../caller.ts"
import * as Processes from "../processes.ts"

export interface Open {
  readonly ports: ReadonlyArray<number>
}

/** On the shared clock. */
export interface Ended {
  readonly port: number
  readonly at: number
}

const open = async (ports: ReadonlyArray<number>, context: Tls.SecureContext): Promise<void> => {
  for (const port of ports) {
    await Connections.open(
      { kind: "raw", count: 1, port },
      context,
      () => process.send?.({ port, at: Processes.clock() } satisfies Ended)
    )
  }
  process.send?.("open")
}

Caller.run(({ ports }: Open, context) => void open(ports, context))
