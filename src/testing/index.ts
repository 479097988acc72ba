export * as Arbitraries from "./Arbitraries.ts"
export * as Policy from "./Policy.ts"
export * as Routes from "./Routes.ts"
export * as TestMesh from "./TestMesh.ts"
