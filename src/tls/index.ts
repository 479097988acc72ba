export * as PeerVerification from "./PeerVerification.ts"
export * as Refusal from "./Refusal.ts"
export * as SecureContexts from "./SecureContexts.ts"
export * as SpiffeRules from "./SpiffeRules.ts"
