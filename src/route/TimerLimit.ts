/** Configured timeouts within the range of Node's timers, which take more than 2^31-1 ms for 1 ms. */

/** Just under 25 days. */
export const longestMillis = 2_147_483_647

export const clamp = (millis: number): number => Math.min(millis, longestMillis)
