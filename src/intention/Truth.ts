/**
 * The truth of a condition when some conditions cannot be evaluated: an expression that does not compile, a matcher from a
 * newer Consul. `Unknown` never counts as fulfilled nor as failed, so that neither an allow nor a deny can profit from it.
 */
export const No = 0
export const Yes = 1
export const Unknown = 2
export type Truth = typeof No | typeof Yes | typeof Unknown

export const fromBoolean = (value: boolean): Truth => value ? Yes : No

export const not = (verdict: Truth): Truth => verdict === Unknown ? Unknown : verdict === Yes ? No : Yes

/** All must hold: one that fails settles it, even with unknown ones beside it. */
export const all = (a: Truth, b: Truth): Truth => a === No || b === No ? No : a === Yes ? b : Unknown

/** One must hold: one that does settles it, even with unknown ones beside it. */
export const some = (a: Truth, b: Truth): Truth => a === Yes || b === Yes ? Yes : a === No ? b : Unknown
