/**
 * Where attempts at one call have been. After three instances of one target the call goes on to the next target, if there is one:
 * where three do not answer, a fourth one hardly will.
 */

export interface Tried {
  readonly has: (instance: string) => boolean
  /** Whether there were enough attempts at this target. Absent: at none. */
  readonly passes?: ((target: string) => boolean) | undefined
}

/** Nothing was tried. */
export const none: Tried = new Set<string>()

/** Instances of one target that are tried. */
export const perTarget = 3

export class Attempts implements Tried {
  readonly #instances = new Set<string>()
  readonly #targets = new Map<string, number>()

  get size(): number {
    return this.#instances.size
  }

  add({ id, target }: { readonly id: string; readonly target: { readonly id: string } }): void {
    if (this.#instances.has(id)) return
    this.#instances.add(id)
    this.#targets.set(target.id, (this.#targets.get(target.id) ?? 0) + 1)
  }

  readonly has = (instance: string): boolean => this.#instances.has(instance)

  readonly passes = (target: string): boolean => (this.#targets.get(target) ?? 0) >= perTarget
}
