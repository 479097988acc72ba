export * as Certificate from "./Certificate.ts"
export * as SpiffeId from "./SpiffeId.ts"
export * as TrustBundle from "./TrustBundle.ts"
export * as TrustDomain from "./TrustDomain.ts"
