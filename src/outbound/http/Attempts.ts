/** What attempts at one request have in common: pass it as `opaque`. Instances that were tried are avoided. */
export class Attempts {
  readonly tried = new Set<string>()
  /** How many there were. */
  made = 0
  /** When the first one began, where that was before: of the times of a route only the rest is left. By `performance.now()`. */
  since: number | undefined
}
