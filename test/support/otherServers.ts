/** HTTP servers of several makes, as applications that tell which requests they were sent. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { freePort } from "./ports.ts"
import { folder } from "./temporary.ts"

export interface Seen {
  readonly method: string
  readonly target: string
  /** Undefined: the server does not tell. */
  readonly body: string | undefined
}

export interface Application {
  readonly port: number
  /** All requests so far, in order. */
  readonly seen: ReadonlyArray<Seen>
}

/** Answers every request with its target. `insecure`: Node's lenient parser, which reads what it should not. */
export const node = (insecure: boolean): Effect.Effect<Application, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Application & { readonly server: Http.Server }>((resume) => {
      const seen: Array<Seen> = []
      const server = Http.createServer({ insecureHTTPParser: insecure }, (request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("error", () => {})
        request.on("end", () => {
          const { method = "", url: target = "" } = request
          seen.push({ method, target, body: Buffer.concat(chunks).toString("latin1") })
          response.end(target)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        resume(Effect.succeed({ port, seen, server }))
      })
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

const accepts = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

/** A process that listens on a port and prints a line for each request, which `read` understands. */
const spawned = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  port: number,
  read: (line: string) => Seen | undefined
): Effect.fn.Return<Application, never, Scope.Scope> {
  const seen: Array<Seen> = []
  const child = yield* Effect.acquireRelease(
    Effect.sync((): ChildProcess => spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  let text = ""
  child.stdout?.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1")
    const lines = text.split("\n")
    text = lines.pop()!
    for (const line of lines) {
      const one = read(line)
      if (one !== undefined) seen.push(one)
    }
  })
  yield* Effect.repeat(Effect.delay(accepts(port), "20 millis"), { until: (up) => up })
  return { port, seen }
})

const json = (line: string): Seen | undefined => line.startsWith("{") ? JSON.parse(line) as Seen : undefined

const pythons = `
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    def any(self):
        body = b""
        if self.headers.get("transfer-encoding", "") != "":
            while True:
                size = int(self.rfile.readline().strip().split(b";")[0], 16)
                body += self.rfile.read(size)
                if size == 0:
                    while self.rfile.readline().strip() != b"": pass
                    break
                self.rfile.readline()
        elif "content-length" in self.headers:
            body = self.rfile.read(int(self.headers["content-length"]))
        line = json.dumps({"method": self.command, "target": self.path, "body": body.decode("latin1")})
        os.write(1, (line + "\\n").encode()) # in one piece, as others do it at the same time
        answer = self.path.encode("latin1")
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(answer)
    def __getattr__(self, name):
        if name.startswith("do_"): return self.any
        raise AttributeError(name)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
`

/** The HTTP server of Python's library, which reads generously. */
export const python = Effect.gen(function*() {
  const port = yield* freePort
  return yield* spawned("python3", ["-c", pythons, String(port)], port, json)
})

/** HAProxy, which answers by itself. */
export const haproxy = Effect.gen(function*() {
  const port = yield* freePort
  const path = join(yield* folder, "haproxy.cfg")
  writeFileSync(
    path,
    `global
  log stdout format raw daemon
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend all
  bind 127.0.0.1:${port}
  log global
  option http-buffer-request
  option dontlognull
  log-format "REQ %HM %[capture.req.uri]"
  http-request return status 200 content-type text/plain lf-string "%[pathq]"
`
  )
  return yield* spawned(haproxyCommand, ["-db", "-f", path], port, (line) => {
    const parts = /^REQ (\S+) (\S+)$/.exec(line)
    // It refuses more than we do.
    return parts === null || parts[1] === "<BADREQ>"
      ? undefined
      : { method: parts[1]!, target: parts[2]!, body: undefined }
  })
})

const gos = `package main
import ("encoding/json"; "fmt"; "io"; "net/http"; "os"; "sync")
func main() {
  var turn sync.Mutex
  http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
    body, err := io.ReadAll(r.Body)
    if err != nil { return }
    line, _ := json.Marshal(map[string]string{"method": r.Method, "target": r.RequestURI, "body": string(body)})
    turn.Lock()
    fmt.Println(string(line))
    turn.Unlock()
    io.WriteString(w, r.RequestURI)
  }))
}
`

/** The HTTP server of Go's library. */
export const go = Effect.gen(function*() {
  const port = yield* freePort
  const path = yield* folder
  writeFileSync(join(path, "main.go"), gos)
  yield* Effect.sync(() => spawnSync(goCommand, ["build", "-o", join(path, "server"), join(path, "main.go")]))
  return yield* spawned(join(path, "server"), [String(port)], port, json)
})

const found = (commands: ReadonlyArray<readonly [command: string, ...args: Array<string>]>): string =>
  commands.find(([command, ...args]) => spawnSync(command, args).status === 0)?.[0] ?? ""

const haproxyCommand = found([["haproxy", "-v"], ["/usr/sbin/haproxy", "-v"]])
const goCommand = found([["go", "version"], ["/usr/local/go/bin/go", "version"]])

/** Those that are installed here. */
export const isInstalled = {
  python: found([["python3", "--version"]]) !== "",
  haproxy: haproxyCommand !== "",
  go: goCommand !== ""
}
