/**
 * How many retries may go on at a time: a service that fails must not get a multiple of its requests. A fifth of the requests at
 * hand, and never less than three.
 */
export interface RetryBudget {
  requests: number
  retries: number
}

export const make = (): RetryBudget => ({ requests: 0, retries: 0 })

const least = 3
const part = 0.2

export const allows = ({ requests, retries }: RetryBudget): boolean => retries < Math.max(least, requests * part)
