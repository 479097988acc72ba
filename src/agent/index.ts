export * as Datacenters from "./Datacenters.ts"
export * as DevelopmentAgent from "./DevelopmentAgent.ts"
