/** A curve for each resource, each to its own scale, as an SVG without scripts or fonts of its own. */
import type * as Resources from "./Resources.ts"

export interface Sample extends Resources.Resources {
  /** Since the start of the load. */
  readonly seconds: number
}

const width = 720
const rowHeight = 64
const left = 130
const right = 90

const rows = [
  ["heap", "heap, MB"],
  ["resident", "resident, MB"],
  ["sockets", "sockets"],
  ["fibers", "fibers"],
  ["timers", "timers"]
] as const

/** `loadSeconds`: when the load ended. */
export const svg = (samples: ReadonlyArray<Sample>, loadSeconds: number, title: string): string => {
  const last = samples.at(-1)!.seconds
  const x = (seconds: number) => (left + seconds / last * (width - left - right)).toFixed(1)
  const height = 50 + rows.length * rowHeight + 20
  const lines = rows.map(([kind, label], i) => {
    const values = samples.map((sample) => sample[kind])
    const most = Math.max(...values, 1)
    const top = 40 + i * rowHeight
    const y = (value: number) => (top + (1 - value / most) * (rowHeight - 16)).toFixed(1)
    const points = samples.map((sample) => `${x(sample.seconds)},${y(sample[kind])}`).join(" ")
    return [
      `<text x="${left - 8}" y="${top + 28}" text-anchor="end">${label}</text>`,
      `<line x1="${left}" x2="${width - right}" y1="${y(0)}" y2="${y(0)}" stroke="#8888"/>`,
      `<polyline points="${points}" fill="none" stroke="#2a7ae2" stroke-width="1.5"/>`,
      `<text x="${width - right + 8}" y="${top + 12}">most ${Math.round(most)}</text>`,
      `<text x="${width - right + 8}" y="${top + 28}">end ${Math.round(values.at(-1)!)}</text>`
    ].join("\n")
  })
  const end = x(loadSeconds)
  const foot = height - 14
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${left}" y="20" font-size="14">${title}</text>
${lines.join("\n")}
<line x1="${end}" x2="${end}" y1="34" y2="${foot - 14}" stroke="#8888" stroke-dasharray="4"/>
<text x="${left}" y="${foot}">0 s</text>
<text x="${end}" y="${foot}" text-anchor="end">${Math.round(loadSeconds)} s: the load ends</text>
</svg>
`
}
