export * as Arbitraries from "./Arbitraries.ts"
export * as Policy from "./Policy.ts"
