/** What the agent says about itself. */
import type * as Agent from "../consul/Agent.ts"
import * as AgentState from "./AgentState.ts"

export const member = ({ settings }: AgentState.AgentState): Agent.Member => ({
  Name: settings.nodeName,
  Addr: "127.0.0.1",
  Port: 8301,
  Tags: {
    acls: "0",
    build: `${AgentState.consulVersion}:`,
    dc: settings.datacenter,
    id: settings.nodeId,
    port: "8300",
    raft_vsn: "3",
    role: "consul",
    segment: "",
    vsn: "2",
    vsn_max: "3",
    vsn_min: "2"
  },
  Status: 1,
  ProtocolMin: 1,
  ProtocolMax: 5,
  ProtocolCur: 2,
  DelegateMin: 2,
  DelegateMax: 5,
  DelegateCur: 4
})

/** Consul's command line compares these with the Envoy that it starts. */
const supportedEnvoys = ["1.40.0", "1.34.1", "1.33.2", "1.32.5", "1.31.8"]

/** Of the configuration only what readers look for. */
export const self = (state: AgentState.AgentState): Agent.Self => ({
  Config: {
    Datacenter: state.settings.datacenter,
    PrimaryDatacenter: state.federation.primary,
    NodeName: state.settings.nodeName,
    NodeID: state.settings.nodeId,
    Revision: "effect-mesh",
    Server: true,
    Version: AgentState.consulVersion,
    BuildDate: "1970-01-01T00:00:01Z"
  },
  DebugConfig: {
    ACLResolverSettings: { ACLDefaultPolicy: "allow", ACLsEnabled: false, Datacenter: state.settings.datacenter },
    ACLsEnabled: false,
    ConnectCAProvider: "consul",
    ConnectEnabled: true,
    ConnectSidecarMaxPort: state.settings.sidecarPorts.to,
    ConnectSidecarMinPort: state.settings.sidecarPorts.from,
    Datacenter: state.settings.datacenter,
    DefaultIntentionPolicy: state.settings.defaultIntentionPolicy ?? "",
    DevMode: true,
    EnableCentralServiceConfig: true,
    NodeID: state.settings.nodeId,
    NodeName: state.settings.nodeName,
    PeeringEnabled: true,
    PrimaryDatacenter: state.federation.primary,
    ServerMode: true,
    Version: AgentState.consulVersion
  },
  Coord: {},
  Member: member(state),
  Stats: {},
  Meta: { "consul-network-segment": "", "consul-version": AgentState.consulVersion },
  xDS: state.envoys.port === undefined ? {} : {
    Port: state.envoys.port,
    Ports: { Plaintext: state.envoys.port, TLS: -1 },
    SupportedProxies: { envoy: supportedEnvoys }
  }
})
