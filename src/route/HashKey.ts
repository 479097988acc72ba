/** The hash of a request, for the balancers that send equal requests to one instance. */
import * as StringHash from "../balance/StringHash.ts"
import type * as TcpRoute from "./TcpRoute.ts"

export interface Request {
  /** By a name in lower case. */
  readonly header: (name: string) => string | undefined
  /** Path with query. */
  readonly path: string
}

/** 32 bits of all parts that apply, in order; undefined if none does. */
export const of = (hashBy: ReadonlyArray<TcpRoute.HashBy>, request: Request): number | undefined => {
  let hash: number | undefined
  for (const { field, name, terminal } of hashBy) {
    const value = valueOf(field, name, request)
    if (value !== undefined) hash = StringHash.hash(value, hash ?? 0)
    if (hash !== undefined && terminal) break
  }
  return hash
}

const valueOf = (field: TcpRoute.HashBy["field"], name: string, { header, path }: Request): string | undefined => {
  switch (field) {
    case "header":
      return header(name.toLowerCase())
    case "query_parameter":
      return new URLSearchParams(path.split("?").slice(1).join("?")).get(name) ?? undefined
    case "cookie": {
      const start = `${name}=`
      return header("cookie")?.split(/; */).find((pair) => pair.startsWith(start))?.slice(start.length)
    }
  }
}
