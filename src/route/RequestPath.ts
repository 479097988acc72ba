/** The parts of a request target, as they were sent: nothing is decoded. */

export const withoutQuery = (target: string): string => {
  const start = target.indexOf("?")
  return start < 0 ? target : target.slice(0, start)
}

/** The first value of a query parameter; empty where it has none. Undefined: it is absent. */
export const parameter = (target: string, name: string): string | undefined => {
  let start = target.indexOf("?") + 1
  if (start === 0) return undefined
  while (start <= target.length) {
    const found = target.indexOf("&", start)
    const end = found < 0 ? target.length : found
    if (target.startsWith(name, start)) {
      const after = start + name.length
      if (after === end) return ""
      if (after < end && target[after] === "=") return target.slice(after + 1, end)
    }
    start = end + 1
  }
  return undefined
}
