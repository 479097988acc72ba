/**
 * An application that knows nothing of the mesh: plain HTTP on its own port, and plain HTTP to a local port for each
 * service that it calls. `GET /` answers its name, `GET /call/NAME` answers what the service NAME says.
 */
import { createServer, get } from "node:http"

const name = process.env["MESH_SERVICE"] ?? "app"
const port = Number(process.env["PORT"])

/** The local port behind which the sidecar reaches the service. */
const upstream = (service) => process.env[`MESH_UPSTREAM_${service.toUpperCase().replaceAll("-", "_")}`]

const server = createServer((request, response) => {
  const called = /^\/call\/([\w-]+)$/.exec(request.url ?? "")?.[1]
  if (called === undefined) {
    response.end(`hello from ${name}\n`)
    return
  }
  const address = upstream(called)
  if (address === undefined) {
    response.writeHead(404).end(`${name} has no upstream ${called}\n`)
    return
  }
  get(`http://${address}/`, (answer) => answer.pipe(response)).on("error", (error) => {
    response.writeHead(502).end(`${name} cannot reach ${called}: ${error.message}\n`)
  })
})

server.listen(port, "127.0.0.1", () => process.stdout.write(`${name} listens on 127.0.0.1:${port}\n`))
process.on("SIGTERM", () => {
  server.close()
  server.closeAllConnections()
})
