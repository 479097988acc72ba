export * as ConsulSidecar from "./ConsulSidecar.ts"
export * as Sidecar from "./Sidecar.ts"
