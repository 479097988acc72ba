/** What attempts at one request have in common: pass it as `opaque`. Instances that were tried are avoided. */
export class Attempts {
  readonly tried = new Set<string>()
  /** How many there were. */
  made = 0
}
