/** Values that are read again and again, and stay the same object as long as they are equal: what follows from one need not be made again. */
import { Equal } from "effect"

export interface Stable {
  /**
   * Made where one of `of` is another object than the time before. Where it is equal to the value before all the same, that one stays.
   */
  readonly keep: <A>(key: string, of: ReadonlyArray<unknown>, make: () => A) => A
}

export const make = (): Stable => {
  const before = new Map<string, { readonly of: ReadonlyArray<unknown>; readonly value: unknown }>()
  return {
    keep: <A>(key: string, of: ReadonlyArray<unknown>, make: () => A): A => {
      const known = before.get(key)
      if (known !== undefined && known.of.length === of.length && known.of.every((one, i) => one === of[i])) {
        return known.value as A
      }
      const made = make()
      const value = known !== undefined && Equal.equals(known.value, made) ? known.value as A : made
      before.set(key, { of, value })
      return value
    }
  }
}
