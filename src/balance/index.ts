export * as LoadBalancer from "./LoadBalancer.ts"
export * as OutlierDetection from "./OutlierDetection.ts"
export * as StringHash from "./StringHash.ts"
