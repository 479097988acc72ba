export * as TcpRoute from "./TcpRoute.ts"
