/**
 * Where something was written: the file, line and column of intentions and their permissions, for those who point at it. It is
 * kept beside the value, and not in it, so that what is written elsewhere in the same words stays the same. What an agent answers
 * was written in no file, and has none.
 */
export interface Origin {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
}

const origins = new WeakMap<object, Origin>()

/** Remembers where the value was written, and returns the value. */
export const mark = <A extends object>(value: A, origin: Origin): A => {
  origins.set(value, origin)
  return value
}

/** Of an intention, a permission, or another marked value. */
export const of = (value: object | undefined): Origin | undefined =>
  value === undefined ? undefined : origins.get(value)

/** Of one permission of an intention, or else of the intention. */
export const ofRule = (
  intention: { readonly Permissions?: ReadonlyArray<object> | undefined } | undefined,
  permission?: number
): Origin | undefined =>
  of(permission === undefined ? undefined : intention?.Permissions?.[permission]) ?? of(intention)

/** `policy/api.json:3:7` */
export const format = ({ column, file, line }: Origin): string => `${file}:${line}:${column}`
