/** A collector of OpenTelemetry: takes what is sent to it as JSON over HTTP. */
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string }
}

export interface Span {
  readonly traceId: string
  readonly name: string
  readonly kind: number
  readonly attributes: ReadonlyArray<Attribute>
}

export interface Metric {
  readonly name: string
  readonly sum?: { readonly dataPoints: ReadonlyArray<Point> }
  readonly gauge?: { readonly dataPoints: ReadonlyArray<Point> }
  readonly histogram?: { readonly dataPoints: ReadonlyArray<Point> }
}

interface Point {
  readonly attributes: ReadonlyArray<Attribute>
}

export interface LogRecord {
  readonly severityText: string
  readonly body: { readonly stringValue?: string }
  readonly attributes: ReadonlyArray<Attribute>
}

interface Scoped<K extends string, A> {
  readonly resource: { readonly attributes: ReadonlyArray<Attribute> }
  readonly entries: ReadonlyArray<Readonly<Record<K, ReadonlyArray<A>>>>
}

export const make = Effect.acquireRelease(
  Effect.callback<{
    readonly address: string
    readonly spans: Array<Span>
    readonly metrics: Array<Metric>
    readonly logs: Array<LogRecord>
    /** Names of the programs that have sent something. */
    readonly services: Set<string>
    /** Paths that were asked for. */
    readonly paths: Set<string>
    readonly close: () => void
  }>((resume) => {
    const spans: Array<Span> = []
    const metrics: Array<Metric> = []
    const logs: Array<LogRecord> = []
    const services = new Set<string>()
    const paths = new Set<string>()
    const take = <K extends string, A>(all: ReadonlyArray<Scoped<K, A>>, key: K, into: Array<A>) => {
      for (const { entries, resource } of all) {
        const name = resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue
        if (name !== undefined) services.add(name)
        for (const entry of entries) into.push(...entry[key])
      }
    }
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        paths.add(request.url!)
        const body = JSON.parse(Buffer.concat(chunks).toString())
        const all = (key: string, scoped: string) =>
          (body[key] ?? []).map((one: Record<string, unknown>) => ({ resource: one["resource"], entries: one[scoped] }))
        take(all("resourceSpans", "scopeSpans"), "spans", spans)
        take(all("resourceMetrics", "scopeMetrics"), "metrics", metrics)
        take(all("resourceLogs", "scopeLogs"), "logRecords", logs)
        response.setHeader("Content-Type", "application/json")
        response.end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      resume(Effect.succeed({ address: `http://127.0.0.1:${port}`, spans, metrics, logs, services, paths, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

export const attribute = ({ attributes }: { readonly attributes: ReadonlyArray<Attribute> }, name: string) =>
  attributes.find(({ key }) => key === name)?.value.stringValue
