/** All of it but the development agent, which is `effect-mesh/agent`. Each folder is also an entry point of its own. */
export * from "./chain/index.ts"
export * from "./consul/index.ts"
export * from "./identity/index.ts"
export * from "./intention/index.ts"
export * from "./native/index.ts"
export * from "./proxy/index.ts"
export * from "./tls/index.ts"
export * from "./watch/index.ts"
