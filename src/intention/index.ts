export * as Intention from "./Intention.ts"
