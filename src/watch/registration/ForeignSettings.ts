/** Settings that mean something to other proxies of Consul, and what there is in their place. */

const ofEnvoy = "it is configuration of Envoy itself"
const metrics = "metrics are told where --admin-bind says, at /metrics"

const instead: Readonly<Record<string, string>> = {
  envoy_prometheus_bind_addr: metrics,
  envoy_stats_bind_addr: metrics,
  envoy_statsd_url: metrics,
  envoy_dogstatsd_url: metrics,
  envoy_stats_tags: metrics,
  envoy_stats_flush_interval: metrics,
  telemetry: metrics,
  envoy_ready_bind_address: "readiness is told where --admin-bind says, at /ready",
  envoy_ready_bind_port: "readiness is told where --admin-bind says, at /ready",
  local_service_address: "LocalServiceAddress and LocalServicePort say where the application is",
  upstreams: "Proxy.Upstreams says what is called"
}

/** In a clause; undefined: nothing is known of it. */
export const insteadOf = (name: string): string | undefined =>
  instead[name] ??
    (name.startsWith("envoy_") || name.endsWith("telemetry_collector_bind_socket_dir") ? ofEnvoy : undefined)
