export * as DevelopmentAgent from "./DevelopmentAgent.ts"
