export * as HashKey from "./HashKey.ts"
export * as TargetKey from "./TargetKey.ts"
export * as TcpRoute from "./TcpRoute.ts"
