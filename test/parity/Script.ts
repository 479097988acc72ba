/** What a request asks the application to do, in its header `x-script`: URL-encoded pairs. */

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly trailers: ReadonlyArray<readonly [string, string]>
  /** A status that has no body. */
  readonly bodyless: boolean
}

export interface Script {
  readonly has: (key: string) => boolean
  readonly text: (key: string) => string | undefined
  readonly millis: (key: string) => number | undefined
  readonly answer: Answer
}

/** Counts the tries of each key. One for all instances. */
export const interpreter = () => {
  const tries = new Map<string, number>()
  return {
    forget: () => tries.clear(),
    /** What `instance` is to do: nothing, where the script is for another one or its tries are used up. */
    scriptOf: (instance: string, header: string | ReadonlyArray<string> | undefined): Script => {
      const pairs = new URLSearchParams(typeof header === "string" ? header : header?.[0] ?? "")
      if ((pairs.get("instance") ?? instance) !== instance) return scriptFrom(instance, new URLSearchParams())
      const fail = pairs.get("fail")
      if (fail === null) return scriptFrom(instance, pairs)
      const key = pairs.get("key") ?? ""
      const tried = (tries.get(key) ?? 0) + 1
      tries.set(key, tried)
      return scriptFrom(instance, tried > Number(fail) ? new URLSearchParams() : pairs)
    }
  }
}

export type Interpreter = ReturnType<typeof interpreter>

const scriptFrom = (instance: string, pairs: URLSearchParams): Script => {
  const number = (key: string) => {
    const value = pairs.get(key)
    return value === null ? undefined : Number(value)
  }
  const status = number("status") ?? 200
  const size = number("size")
  const bodyless = status === 204 || status === 304
  const body = size === undefined ? pairs.get("body") ?? JSON.stringify({ instance }) : "x".repeat(size)
  return {
    has: (key) => pairs.has(key),
    text: (key) => pairs.get(key) ?? undefined,
    millis: number,
    answer: {
      status,
      body: bodyless ? "" : body,
      headers: [
        ...pairs.getAll("header").map(parted),
        ...(pairs.has("bighead") ? [["x-big", "x".repeat(number("bighead") ?? 0)] as const] : []),
        ...Array.from({ length: number("manyheads") ?? 0 }, (_, i) => [`x-h-${i}`, "v"] as const)
      ],
      trailers: pairs.getAll("trailer").map(parted),
      bodyless
    }
  }
}

const parted = (line: string): readonly [string, string] => {
  const colon = line.indexOf(":")
  return [line.slice(0, colon), line.slice(colon + 1)]
}
