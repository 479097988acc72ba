/**
 * The truth of a condition when some conditions cannot be evaluated: an expression that does not compile, a matcher from a
 * newer Consul. `Unknown` never counts as fulfilled nor as failed, so that neither an allow nor a deny can profit from it.
 */
export const No = 0
export const Yes = 1
export const Unknown = 2
export type Verdict = typeof No | typeof Yes | typeof Unknown

export const fromBoolean = (value: boolean): Verdict => value ? Yes : No

export const not = (verdict: Verdict): Verdict => verdict === Unknown ? Unknown : verdict === Yes ? No : Yes

/** All must hold: one that fails settles it, even with unknown ones beside it. */
export const all = (a: Verdict, b: Verdict): Verdict => a === No || b === No ? No : a === Yes ? b : Unknown

/** One must hold: one that does settles it, even with unknown ones beside it. */
export const some = (a: Verdict, b: Verdict): Verdict => a === Yes || b === Yes ? Yes : a === No ? b : Unknown
