/**
 * Consul's HTTP API, as far as a data plane needs it. The client is derived from it and the development agent implements it.
 *
 * It reads leniently and writes strictly: answers of agents from 1.8 on decode (what is absent, `null` or empty is the same,
 * unknown fields are ignored), and what is written has the spelling of today's Consul. Field names are those of the wire.
 *
 * @see https://developer.hashicorp.com/consul/api-docs
 */
import { HttpApi } from "effect/http-api"
import { AclApi } from "./AclApi.ts"
import { AgentApi } from "./AgentApi.ts"
import { CatalogApi, HealthApi, StatusApi } from "./CatalogApi.ts"
import { ConfigApi, DiscoveryChainApi } from "./ConfigApi.ts"
import { ConnectApi } from "./ConnectApi.ts"
import { InternalApi } from "./InternalApi.ts"
import { PeeringApi } from "./PeeringApi.ts"
import { QueryApi } from "./QueryApi.ts"

export class ConsulApi extends HttpApi.make("consul")
  .add(AgentApi)
  .add(CatalogApi)
  .add(HealthApi)
  .add(StatusApi)
  .add(ConnectApi)
  .add(ConfigApi)
  .add(DiscoveryChainApi)
  .add(QueryApi)
  .add(InternalApi)
  .add(PeeringApi)
  .add(AclApi)
{}
