/** Remembers the latest results of a pure function of texts. */
export const memoize = <A>(size: number, make: (key: string) => A): (key: string) => A => {
  const known = new Map<string, A>()
  return (key) => {
    const present = known.get(key)
    if (present !== undefined) return present
    const made = make(key)
    if (known.size >= size) known.delete(known.keys().next().value!)
    known.set(key, made)
    return made
  }
}
