/** Values that are read again and again, and stay the same object as long as they are equal: what follows from one need not be made again. */
import { Equal } from "effect"

export interface Stable {
  /** The value before, where the new one is equal to it. */
  readonly keep: <A>(key: string, value: A) => A
}

export const make = (): Stable => {
  const before = new Map<string, unknown>()
  return {
    keep: <A>(key: string, value: A): A => {
      const known = before.get(key)
      if (known !== undefined && Equal.equals(known, value)) return known as A
      before.set(key, value)
      return value
    }
  }
}
