/**
 * How many retries may wait at a time: a service that fails must not get a multiple of its requests. A fifth of the requests at
 * hand, and never less than three. An attempt that no instance has seen has cost the service nothing, and the next one is free: when
 * an instance dies under load, all that were on their way to it go to others.
 */
export interface RetryBudget {
  /** At hand. */
  requests: number
  /** Those of them that wait for another attempt, which is not free. */
  retries: number
  /** Since the start: tried once more, and not, though their routes would have allowed it. */
  granted: number
  refused: number
}

export const make = (): RetryBudget => ({ requests: 0, retries: 0, granted: 0, refused: 0 })

const least = 3
const part = 0.2

/** Whether there may be another attempt. One that is not free has its place until `giveBack`. */
export const take = (budget: RetryBudget, isFree: boolean): boolean => {
  if (!isFree && budget.retries >= Math.max(least, budget.requests * part)) {
    budget.refused++
    return false
  }
  budget.granted++
  if (!isFree) budget.retries++
  return true
}

export const giveBack = (budget: RetryBudget, isFree: boolean): void => {
  if (!isFree) budget.retries--
}
