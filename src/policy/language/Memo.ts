/** Remembers the latest results of a computation that the key says all about. */
export const memoize = <A>(size: number): (key: string, make: () => A) => A => {
  const known = new Map<string, { readonly value: A }>()
  return (key, make) => {
    const present = known.get(key)
    if (present !== undefined) return present.value
    const value = make()
    if (known.size >= size) known.delete(known.keys().next().value!)
    known.set(key, { value })
    return value
  }
}
