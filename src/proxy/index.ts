export * as Sidecar from "./Sidecar.ts"
