/** `effect-mesh redirect-traffic`: an application's connections go through its sidecar, though it knows nothing of one. */
import { Console, Effect, Layer, Option, Ref, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import * as Consul from "./consul.ts"
import * as Log from "./Log.ts"
import { UsageError } from "./proxy/Registered.ts"
import * as Hosts from "./redirect/Hosts.ts"
import * as Nftables from "./redirect/Nftables.ts"
import * as Rules from "./redirect/Rules.ts"
import * as Wanted from "./redirect/Wanted.ts"

const checked = (name: string, expression: RegExp, what: string) =>
  Flag.String(name).pipe(Flag.filter((text) => expression.test(text), () => `--${name} takes ${what}`))

const port = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter((port) => port > 0 && port < 65_536, () => `--${name} takes a port: 1 to 65535`)
  )

const user = /^(\d+|[a-z_][a-z0-9_-]*)$/
const cidr = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}(\/(3[0-2]|[12]?\d))?$/

const flags = {
  ...Log.flags,
  ...Consul.flags,
  proxyId: Flag.String("proxy-id").pipe(
    Flag.withDescription("The sidecar as it is registered: its ports, upstreams and exposed paths, which are followed"),
    Flag.withMetavar("ID"),
    Flag.optional
  ),
  proxyUid: checked("proxy-uid", user, "the id or the name of a user").pipe(
    Flag.withDescription("The user that the sidecar runs as: its connections are left alone"),
    Flag.withMetavar("USER")
  ),
  proxyInboundPort: port("proxy-inbound-port").pipe(
    Flag.withDescription("Without --proxy-id: where the sidecar takes callers"),
    Flag.optional
  ),
  proxyOutboundPort: port("proxy-outbound-port").pipe(
    Flag.withDescription(
      "Without --proxy-id: where every outbound connection goes. For a proxy that finds out where it was meant to go, as " +
        "Envoy does; effect-mesh proxy does not"
    ),
    Flag.optional
  ),
  excludeInboundPort: port("exclude-inbound-port").pipe(
    Flag.withDescription("Inbound port that is not redirected; may be repeated"),
    Flag.atLeast(0)
  ),
  excludeOutboundPort: port("exclude-outbound-port").pipe(
    Flag.withDescription("Outbound port that is left alone; may be repeated"),
    Flag.atLeast(0)
  ),
  excludeOutboundCidr: checked("exclude-outbound-cidr", cidr, "an IPv4 network such as 10.0.0.0/8").pipe(
    Flag.withDescription("Network that is left alone; may be repeated"),
    Flag.withMetavar("CIDR"),
    Flag.atLeast(0)
  ),
  excludeUid: checked("exclude-uid", user, "the id or the name of a user").pipe(
    Flag.withDescription("Another user whose connections are left alone; may be repeated"),
    Flag.withMetavar("USER"),
    Flag.atLeast(0)
  ),
  hosts: Flag.String("hosts").pipe(
    Flag.withDescription("Hosts file, such as /etc/hosts, that has names such as api.virtual.consul meanwhile"),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  print: Flag.Boolean("print").pipe(
    Flag.withDescription("Print the rules, for nft -f, and change nothing"),
    Flag.withDefault(false)
  )
}

type Options = Command.Command.Config.Infer<typeof flags>

/** What is to be in force, and which names. */
interface State {
  readonly script: string
  readonly hosts: ReadonlyArray<Hosts.Host>
  readonly left: ReadonlyArray<string>
}

/** With a registration: asked for anew each time. */
const stateOf = (options: Options) =>
  Effect.gen(function*() {
    const proxyId = Option.getOrUndefined(options.proxyId)
    const given = { inbound: options.proxyInboundPort, outbound: options.proxyOutboundPort }
    if (proxyId === undefined) {
      if (Option.isNone(given.inbound)) {
        return yield* new UsageError({ why: "which proxy? Give --proxy-id ID, or --proxy-inbound-port PORT" })
      }
      return rulesOf(options, {
        inboundPort: given.inbound.value,
        exposedPorts: [],
        meshOnly: false,
        outbound: Option.match(given.outbound, {
          onNone: () => ({ _tag: "Virtual", destinations: [] }),
          onSome: (port) => ({ _tag: "Everything", port })
        })
      })
    }
    if (Option.isSome(given.inbound) || Option.isSome(given.outbound)) {
      return yield* new UsageError({
        why: "--proxy-inbound-port and --proxy-outbound-port go without --proxy-id: its registration says them"
      })
    }
    const wanted = yield* Effect.provide(Wanted.ask(proxyId), Consul.layer(options))
    const outbound = { _tag: "Virtual", destinations: wanted.destinations } as const
    return { ...rulesOf(options, { ...wanted, outbound }), hosts: wanted.destinations, left: wanted.left }
  })

const rulesOf = (
  options: Options,
  { exposedPorts, ...rest }: Pick<Rules.Rules, "inboundPort" | "outbound" | "meshOnly"> & {
    readonly exposedPorts: ReadonlyArray<number>
  }
): State => ({
  script: Rules.script({
    ...rest,
    users: [options.proxyUid, ...options.excludeUid],
    exclude: {
      inboundPorts: [...options.excludeInboundPort, ...exposedPorts],
      outboundPorts: options.excludeOutboundPort,
      outboundCidrs: options.excludeOutboundCidr
    }
  }),
  hosts: [],
  left: []
})

const run = Effect.fnUntraced(function*(options: Options) {
  const first = yield* stateOf(options)
  if (options.print) return yield* Console.log(first.script)
  const inForce = yield* Ref.make<State>({ script: "", hosts: [], left: [] })
  const hostsFile = Option.getOrUndefined(options.hosts)
  const names = (hosts: State["hosts"]) => hostsFile === undefined ? Effect.void : Hosts.write(hostsFile, hosts)
  const take = (next: State) =>
    Effect.gen(function*() {
      const before = yield* Ref.get(inForce)
      if (next.script !== before.script) {
        yield* Nftables.apply(next.script)
        yield* Ref.set(inForce, { ...before, script: next.script })
      }
      yield* names(next.hosts)
      for (const line of next.left) {
        if (!before.left.includes(line)) yield* Effect.logWarning(`not redirected: ${line}`)
      }
      yield* Ref.set(inForce, next)
      return next.script !== before.script
    })
  const undo = Effect.flatMap(
    Ref.get(inForce),
    ({ script }) => script === "" ? Effect.void : Effect.andThen(Nftables.apply(Rules.removal), names([]))
  )
  yield* Effect.addFinalizer(() =>
    Effect.catch(undo, (error) => Effect.logError(`traffic may still be redirected: ${error.message}`))
  )
  yield* Effect.uninterruptible(take(first))
  yield* Log.announce(
    options,
    [
      "Traffic is redirected until this is stopped.",
      ...first.hosts.map(({ address, service }) => `  ${service}.virtual.consul is ${address}`),
      "Stop it with Ctrl-C."
    ].join("\n"),
    Object.fromEntries(first.hosts.map(({ address, service }) => [service, address]))
  )
  if (Option.isNone(options.proxyId)) return yield* Effect.never
  const follow = Effect.matchEffect(Effect.flatMap(stateOf(options), (next) => Effect.uninterruptible(take(next))), {
    onFailure: ({ message }) => Effect.logWarning(`${message}. The rules stay as they are`),
    onSuccess: (changed) => changed ? Effect.logInfo("the rules have changed, as the registration has") : Effect.void
  })
  yield* Effect.sleep(pause)
  return yield* Effect.repeat(follow, Schedule.spaced(pause))
})

/** Between two looks at what is registered. */
const pause = "3 seconds"

export const redirect = Command.make(
  "redirect-traffic",
  flags,
  (options) => Effect.scoped(Effect.provide(run(options), Layer.mergeAll(Log.layer(options))))
).pipe(
  Command.withDescription(
    "Redirect the connections of an application to its sidecar, by rules of nftables in this network namespace, until it is " +
      "stopped. Callers from elsewhere come to the sidecar. The virtual addresses of its upstreams lead to them, and where the " +
      "entry mesh says MeshDestinationsOnly, nothing else can be reached. Linux only; needs nft and CAP_NET_ADMIN."
  ),
  Command.withShortDescription("Redirect an application's traffic to its sidecar"),
  Command.withExamples([
    {
      command: "effect-mesh redirect-traffic --proxy-id web-sidecar-proxy --proxy-uid mesh --hosts /etc/hosts",
      description: "http://api.virtual.consul/ leads to the upstream api"
    },
    {
      command: "effect-mesh redirect-traffic --proxy-id web-sidecar-proxy --proxy-uid mesh --print",
      description: "The rules alone"
    }
  ])
)
