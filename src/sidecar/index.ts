export * as ConsulSidecar from "./ConsulSidecar.ts"
export * as GarbageCollection from "./GarbageCollection.ts"
export * as Sidecar from "./Sidecar.ts"
