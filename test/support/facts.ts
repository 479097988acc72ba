import type * as Substitution from "../../src/observe/Substitution.ts"

type Given = { readonly [O in Substitution.Operator]?: string | number } & {
  readonly request?: Readonly<Record<string, string>>
  readonly response?: Readonly<Record<string, string>>
  readonly startTime?: number
}

/** What is not given does not apply. */
export const factsOf = ({ request = {}, response = {}, startTime = 0, ...operators }: Given): Substitution.Facts => ({
  operator: (name) => operators[name],
  request: (name) => request[name],
  response: (name) => response[name],
  trailer: () => undefined,
  startTime
})
