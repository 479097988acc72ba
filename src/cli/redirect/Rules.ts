/**
 * The rules of nftables by which an application's connections reach its sidecar. Pure. One table, which is replaced as a whole:
 *
 *     inbound        a connection from elsewhere ──▶ the port for callers of the sidecar
 *     outbound       240.0.0.5, which stands for api ──▶ the port of the sidecar for its upstream api
 *     destinations   what leads nowhere, or may not leave the mesh, is reset
 */
export interface Rules {
  /** Whose connections are left alone, first the sidecar's: ids or names. */
  readonly users: readonly [string, ...Array<string>]
  /** Where callers from the mesh are taken. Undefined: inbound connections are left alone. */
  readonly inboundPort: number | undefined
  readonly outbound: Outbound
  readonly exclude: {
    readonly inboundPorts: ReadonlyArray<number>
    readonly outboundPorts: ReadonlyArray<number>
    /** Of IPv4. */
    readonly outboundCidrs: ReadonlyArray<string>
  }
  /** Connections to anything but the mesh are reset, but for what is excluded. */
  readonly meshOnly: boolean
}

export type Outbound =
  | { readonly _tag: "Virtual"; readonly destinations: ReadonlyArray<Destination> }
  /** Everything goes to one port, of a sidecar that asks the kernel for the address that was meant, as Envoy does. */
  | { readonly _tag: "Everything"; readonly port: number }

/** An address that stands for a service, and where the sidecar takes connections for it. */
export interface Destination {
  readonly address: string
  readonly host: string
  readonly port: number
}

const table = "inet effect_mesh"

/** Takes away what `script` has brought, and where there is none, nothing. */
export const removal = `table ${table} {}\ndelete table ${table}\n`

/** For `nft -f`: in force as a whole, or not at all. */
export const script = (rules: Rules): string => {
  const chains = [
    ...(rules.inboundPort === undefined ? [] : [inbound(rules, rules.inboundPort)]),
    ...(rules.outbound._tag === "Virtual" ? virtual(rules.outbound.destinations) : []),
    outbound(rules),
    ...(rules.outbound._tag === "Virtual" ? [destinations(rules)] : [])
  ]
  return `${removal}table ${table} {\n${chains.join("\n")}}\n`
}

const block = (head: string, lines: ReadonlyArray<string>): string =>
  `  ${head} {\n${lines.map((line) => `    ${line}\n`).join("")}  }\n`

const set = (values: ReadonlyArray<string | number>): string => `{ ${values.join(", ")} }`

/** A line for a set with something in it. */
const each = (
  match: string,
  values: ReadonlyArray<string | number>,
  verdict: "return" | "accept"
): ReadonlyArray<string> => values.length === 0 ? [] : [`${match} ${set([...new Set(values)])} ${verdict}`]

const inbound = ({ exclude }: Rules, port: number): string =>
  block("chain inbound", [
    "type nat hook prerouting priority -100; policy accept;",
    "iifname \"lo\" return",
    ...each("tcp dport", exclude.inboundPorts, "return"),
    `meta l4proto tcp redirect to :${port}`
  ])

const virtual = (destinations: ReadonlyArray<Destination>): ReadonlyArray<string> =>
  destinations.length === 0 ? [] : [
    block("map virtual", [
      "type ipv4_addr : ipv4_addr . inet_service",
      `elements = ${set(destinations.map(({ address, host, port }) => `${address} : ${host} . ${port}`))}`
    ])
  ]

const left = ({ exclude, users }: Rules, verdict: "return" | "accept"): ReadonlyArray<string> => [
  ...each("meta skuid", users, verdict),
  ...each("tcp dport", exclude.outboundPorts, verdict),
  ...each("ip daddr", exclude.outboundCidrs, verdict)
]

const outbound = (rules: Rules): string =>
  block("chain outbound", [
    "type nat hook output priority -100; policy accept;",
    ...left(rules, "return"),
    ...(rules.outbound._tag === "Everything"
      ? ["oifname \"lo\" return", `meta l4proto tcp redirect to :${rules.outbound.port}`]
      : rules.outbound.destinations.length === 0
      ? []
      : ["meta l4proto tcp dnat ip to ip daddr map @virtual"])
  ])

/** Sees addresses as they are after `outbound`. */
const destinations = (rules: Rules): string =>
  block("chain destinations", [
    "type filter hook output priority 0; policy accept;",
    ...left(rules, "accept"),
    // No upstream of this sidecar: nothing answers there.
    "ip daddr 240.0.0.0/4 meta l4proto tcp reject with tcp reset",
    ...(rules.meshOnly
      ? [
        // Not by its device, which is still that of before.
        "fib daddr type local accept",
        "ct state established,related accept",
        "meta l4proto tcp reject with tcp reset"
      ]
      : [])
  ])
