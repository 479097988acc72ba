/**
 * Compiles the config entries around a service into its discovery chain (`agent/consul/discoverychain/compile.go`).
 * A chain that can not be compiled is refused in a real agent's words: the same compilation checks every write.
 */
import { Duration, Result, Schema } from "effect"
import { createHash } from "node:crypto"
import * as TargetKey from "../../route/TargetKey.ts"
import { Route as RouterRoute } from "../../consul/config/ServiceRouter.ts"
import { LoadBalancer, type ServiceResolver } from "../../consul/config/ServiceResolver.ts"
import type { Split as SplitterSplit } from "../../consul/config/ServiceSplitter.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as ChainTarget from "./ChainTarget.ts"
import * as EntrySet from "./EntrySet.ts"
import * as FlattenSplits from "./FlattenSplits.ts"

export interface Options {
  readonly service: string
  /** Where the caller is. */
  readonly datacenter: string
  readonly trustDomain: string
  readonly entries: EntrySet.EntrySet
  readonly overrides?: DiscoveryChain.Overrides | undefined
}

export const compile = (options: Options): Result.Result<DiscoveryChain.Chain, string> => {
  try {
    return Result.succeed(new Compiler(options).compile())
  } catch (error) {
    if (error instanceof Refused) return Result.fail(error.reason)
    throw error
  }
}

/** Carries a refusal out of the recursion; never leaves this module. */
class Refused extends Error {
  readonly reason: string
  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

const refuse = (reason: string): never => {
  throw new Refused(reason)
}

const defaultConnectTimeout = Duration.seconds(5)

interface Node extends DiscoveryChain.Node {
  /** Of splits: what each leg says, before it is flattened. */
  readonly definitions?: ReadonlyArray<SplitterSplit>
}

class Compiler {
  readonly options: Options
  readonly nodes = new Map<string, Node>()
  readonly targets = new Map<string, DiscoveryChain.Target>()
  protocol = ""
  advanced = false
  customized: { timeout?: string; gateway?: string } = {}

  constructor(options: Options) {
    this.options = options
  }

  compile(): DiscoveryChain.Chain {
    const { datacenter, entries, overrides, service } = this.options
    const override = (overrides?.OverrideProtocol ?? "").toLowerCase()
    const routed = override === "" || EntrySet.isHttpLike(override)
    const start = this.start(service, routed)
    if (this.advanced && !EntrySet.isHttpLike(this.protocol)) {
      refuse(
        `discovery chain "${service}" uses a protocol "${this.protocol}" that does not permit advanced routing or ` +
          `splitting behavior`
      )
    }
    const flattened = FlattenSplits.flatten(this.nodes, start, refuse)
    const customization = {
      ...this.customized,
      ...(override !== "" && override !== this.protocol ? { protocol: override } : {})
    }
    const first = flattened.get(start)
    const defaults = EntrySet.defaults(entries, service)
    return {
      ServiceName: service,
      Namespace: "default",
      Partition: "default",
      Datacenter: datacenter,
      CustomizationHash: Object.keys(customization).length === 0
        ? ""
        : createHash("sha256").update(JSON.stringify(customization)).digest("hex").slice(0, 8),
      Default: first?.Resolver?.Default === true && this.targets.get(first.Resolver.Target)?.Service === service,
      Protocol: override === "" ? this.protocol : override,
      ServiceMeta: defaults?.Meta ?? {},
      EnvoyExtensions: defaults?.EnvoyExtensions ?? [],
      StartNode: start,
      Nodes: Object.fromEntries(flattened),
      Targets: this.reachable(flattened),
      AutoVirtualIPs: [],
      ManualVirtualIPs: []
    }
  }

  /** The first node: the router of the service, else its splitter, else its resolver. */
  start(service: string, routed: boolean): string {
    const router = routed ? EntrySet.router(this.options.entries, service) : undefined
    if (router === undefined) return this.splitterOrResolver(service, routed)
    this.advanced = true
    this.join(service)
    const key = `router:${service}.default.default`
    const routes = router.Routes.map((route): DiscoveryChain.Route => {
      const to = route.Destination
      const target = to?.Service || service
      return {
        Definition: asJson(Schema.encodeSync(RouterRoute)(route)),
        NextNode: to !== undefined && to.ServiceSubset !== ""
          ? this.resolver(this.target(target, to.ServiceSubset), [], false)
          : this.splitterOrResolver(target, routed)
      }
    })
    // What no route takes goes to the service itself.
    routes.push({
      Definition: {
        Match: { HTTP: { PathPrefix: "/" } },
        Destination: { Service: service, Namespace: "default", Partition: "default" }
      },
      NextNode: this.splitterOrResolver(service, routed)
    })
    this.nodes.set(key, { Type: "router", Name: key.slice("router:".length), Routes: routes, Splits: [] })
    return key
  }

  splitterOrResolver(service: string, routed: boolean): string {
    const splitter = routed ? EntrySet.splitter(this.options.entries, service) : undefined
    if (splitter === undefined) return this.resolver(this.target(service, ""), [], false)
    this.advanced = true
    const key = `splitter:${service}.default.default`
    if (this.nodes.has(key)) return key
    const name = key.slice("splitter:".length)
    // In place before the legs are followed, so that a circle ends.
    this.nodes.set(key, { Type: "splitter", Name: name, Routes: [], Splits: [] })
    let balancer: Schema.JsonObject | undefined
    const legs = splitter.Splits.map((split): DiscoveryChain.Split => {
      const target = split.Service || service
      const next = split.ServiceSubset === "" && target !== service
        ? this.splitterOrResolver(target, routed)
        : this.resolver(this.target(target, split.ServiceSubset), [], false)
      const hashed = this.nodes.get(next)?.LoadBalancer
      if (balancer === undefined && (hashed?.["Policy"] === "ring_hash" || hashed?.["Policy"] === "maglev")) {
        balancer = hashed
      }
      return { Weight: split.Weight, NextNode: next }
    })
    this.nodes.set(key, {
      Type: "splitter",
      Name: name,
      Routes: [],
      Splits: legs,
      definitions: splitter.Splits,
      ...(balancer !== undefined && { LoadBalancer: balancer })
    })
    return key
  }

  /** The node that resolves a target, after redirects and default subsets. `path` is the redirects so far. */
  resolver(target: TargetKey.TargetKey, path: ReadonlyArray<string>, forFailover: boolean): string {
    const { entries } = this.options
    if (target.peer === "") this.join(target.service)
    const id = TargetKey.id(target)
    if (path.includes(id)) {
      refuse(`detected circular resolver redirect: [${[...path.slice(path.indexOf(id)), id].join(" -> ")}]`)
    }
    const entry = EntrySet.resolver(entries, target.service)
    if (entry?.Redirect !== undefined) {
      const next = TargetKey.rewrite(target, entry.Redirect, this.options.datacenter)
      // A redirect to itself is none.
      if (TargetKey.id(next) !== id) return this.resolver(next, [...path, id], forFailover)
    }
    if (target.subset === "" && entry !== undefined && entry.DefaultSubset !== "") {
      return this.resolver({ ...target, subset: entry.DefaultSubset }, [...path, id], forFailover)
    }
    const key = `resolver:${id}`
    if (this.nodes.has(key) && !forFailover) return key
    const connectTimeout = this.connectTimeout(entry)
    this.addTarget(target, entry, connectTimeout)
    const known = this.nodes.get(key)
    if (known !== undefined) return key
    const node: Node = {
      Type: "resolver",
      Name: id,
      Routes: [],
      Splits: [],
      Resolver: {
        Default: isDefault(entry),
        ConnectTimeout: connectTimeout,
        ...(entry?.RequestTimeout !== undefined && !Duration.isZero(entry.RequestTimeout) &&
          { RequestTimeout: entry.RequestTimeout }),
        Target: id
      },
      ...(entry?.LoadBalancer !== undefined &&
        { LoadBalancer: asJson(Schema.encodeSync(LoadBalancer)(entry.LoadBalancer)) })
    }
    // A target that is only failed over to has no failover of its own, and no node either.
    if (forFailover) {
      return key
    }
    this.nodes.set(key, node)
    const failover = this.failover(target, entry)
    if (failover.length > 0 && node.Resolver !== undefined) {
      this.nodes.set(key, { ...node, Resolver: { ...node.Resolver, Failover: { Targets: failover } } })
    }
    return key
  }

  failover(target: TargetKey.TargetKey, entry: ServiceResolver | undefined): ReadonlyArray<string> {
    const self = TargetKey.id(target)
    const ids = TargetKey.failover(target, entry?.Failover ?? {}, this.options.datacenter).map((to) =>
      this.resolver(to, [], true).slice("resolver:".length)
    )
    return [...new Set(ids)].filter((id) => id !== self)
  }

  addTarget(key: TargetKey.TargetKey, entry: ServiceResolver | undefined, connectTimeout: Duration.Duration): void {
    const { entries, overrides, trustDomain } = this.options
    const id = TargetKey.id(key)
    if (this.targets.has(id)) return
    const target = ChainTarget.make(key, trustDomain)
    const subset = key.subset === "" ? undefined : entry?.Subsets[key.subset]
    if (key.subset !== "" && key.peer === "" && subset === undefined) {
      refuse(`service "${key.service}" does not have a subset named "${key.subset}"`)
    }
    const defaults = key.peer === "" ? EntrySet.defaults(entries, key.service) : undefined
    const external = defaults?.ExternalSNI ?? ""
    if (external !== "" && entry !== undefined) {
      if (Object.keys(entry.Subsets).length > 0) {
        refuse(`service "${key.service}" has an external SNI set; cannot define subsets for external services`)
      }
      if (Object.keys(entry.Failover).length > 0) {
        refuse(`service "${key.service}" has an external SNI set; cannot define failover for external services`)
      }
    }
    const configured = external === ""
      ? defaults?.MeshGateway.Mode || EntrySet.proxyDefaults(entries)?.MeshGateway.Mode || ""
      : ""
    const asked = external === "" ? overrides?.OverrideMeshGateway?.Mode ?? "" : ""
    if (asked !== "" && asked !== configured) this.customized = { ...this.customized, gateway: asked }
    this.targets.set(id, {
      ...target,
      ConnectTimeout: connectTimeout,
      MeshGateway: { Mode: asked || configured },
      Subset: { Filter: subset?.Filter ?? "", OnlyPassing: subset?.OnlyPassing ?? false },
      TransparentProxy: external === "" && defaults?.TransparentProxy.DialedDirectly === true
        ? { DialedDirectly: true }
        : {},
      ...(external !== "" && { External: true, SNI: external })
    })
  }

  connectTimeout(entry: ServiceResolver | undefined): Duration.Duration {
    const own = entry?.ConnectTimeout
    const configured = own === undefined || Duration.isZero(own) ? defaultConnectTimeout : own
    const asked = this.options.overrides?.OverrideConnectTimeout
    if (asked === undefined || Duration.isZero(asked)) return configured
    if (!Duration.equals(asked, configured)) {
      this.customized = { ...this.customized, timeout: String(Duration.toMillis(asked)) }
    }
    return asked
  }

  target(service: string, subset: string): TargetKey.TargetKey {
    return { service, subset, datacenter: this.options.datacenter, peer: "" }
  }

  /** Everything that a chain routes or resolves speaks one protocol. What only splits has no say. */
  join(service: string): void {
    const protocol = EntrySet.protocol(this.options.entries, service)
    if (this.protocol === "") this.protocol = protocol
    if (this.protocol !== protocol) {
      refuse(
        `discovery chain "${this.options.service}" uses inconsistent protocols; service "${service}" has ` +
          `"${protocol}" which is not "${this.protocol}"`
      )
    }
  }

  reachable(nodes: ReadonlyMap<string, DiscoveryChain.Node>): Record<string, DiscoveryChain.Target> {
    const ids = new Set<string>()
    for (const { Resolver } of nodes.values()) {
      if (Resolver === undefined) continue
      ids.add(Resolver.Target)
      for (const id of Resolver.Failover?.Targets ?? []) ids.add(id)
    }
    return Object.fromEntries([...this.targets].filter(([id]) => ids.has(id)))
  }
}

/** An entry that says nothing is as good as none. */
const isDefault = (entry: ServiceResolver | undefined): boolean =>
  entry === undefined ||
  (entry.DefaultSubset === "" && Object.keys(entry.Subsets).length === 0 && entry.Redirect === undefined &&
    Object.keys(entry.Failover).length === 0 && entry.ConnectTimeout === undefined &&
    entry.RequestTimeout === undefined && entry.LoadBalancer === undefined)

const asJson = (value: unknown): Schema.JsonObject => value as Schema.JsonObject
