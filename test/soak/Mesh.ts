/**
 * What is soaked: `web` calls two instances of `api` over HTTP, and `echo` over TCP. All sidecars are in the one process; the
 * applications are here.
 */
import * as Http from "node:http"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import * as Processes from "../bench/processes.ts"

export interface Mesh {
  /** Where `web` reaches them. */
  readonly api: number
  readonly echo: number
  /** Sidecars, once all are registered. */
  readonly sidecars: number
  readonly allow: (service: string, allowed: boolean) => Promise<unknown>
  /** The second instance of `api`. */
  readonly leave: () => Promise<unknown>
  readonly join: () => Promise<unknown>
  readonly close: () => void
}

export const make = async (address: string): Promise<Mesh> => {
  const consul = Processes.consulAt(address)
  const http = Http.createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" })
    request.pipe(response)
    request.on("error", () => response.destroy())
  })
  const tcp = Net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {})
    socket.pipe(socket)
  })
  const [httpPort, tcpPort] = [await listen(http), await listen(tcp)]
  const ports: Array<number> = []
  for (let i = 0; i < 6; i++) ports.push(await Processes.freePort())
  const [api, echo, ...own] = ports as [number, number, number, number, number, number]
  const register = (Name: string, ID: string, Port: number, sidecar: number, Upstreams: ReadonlyArray<object> = []) =>
    consul.ask("PUT", "/v1/agent/service/register", {
      Name,
      ID,
      Port,
      Connect: {
        SidecarService: {
          Port: sidecar,
          Checks: [{ Name: "always", TTL: "24h", Status: "passing" }],
          Proxy: { Upstreams }
        }
      }
    })
  const allow = (service: string, allowed: boolean) =>
    consul.entry("service-intentions", service, { Sources: [{ Name: "web", Action: allowed ? "allow" : "deny" }] })
  const join = () => register("api", "api-2", httpPort, own[1]!)
  await consul.entry("service-defaults", "api", { Protocol: "http" })
  await allow("api", true)
  await allow("echo", true)
  await register("api", "api-1", httpPort, own[0]!)
  await join()
  await register("echo", "echo", tcpPort, own[2]!)
  await register("web", "web", 1, own[3]!, [
    { DestinationName: "api", LocalBindPort: api },
    { DestinationName: "echo", LocalBindPort: echo }
  ])
  return {
    api,
    echo,
    sidecars: 4,
    allow,
    leave: () => consul.ask("PUT", "/v1/agent/service/deregister/api-2"),
    join,
    close: () => {
      http.close()
      http.closeAllConnections()
      tcp.close()
    }
  }
}

const listen = (server: Net.Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as Net.AddressInfo).port)))

/** Until `isOver`; what goes wrong meanwhile is the load's. */
export const again = async (isOver: () => boolean, seconds: readonly [number, number], act: () => Promise<unknown>) => {
  while (!isOver()) {
    const [least, most] = seconds
    await sleep(1000 * (least + Math.random() * (most - least)))
    if (!isOver()) await act()
  }
}
