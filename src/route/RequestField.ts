/** What is known of a request under a name: a header, or a part of the request line as HTTP/2 calls it. */

export interface Request {
  readonly method?: string | undefined
  /** With its query. */
  readonly path: string
  /** By a name in lower case. */
  readonly header: (name: string) => string | undefined
}

/** `name` is in lower case. Routes and hash policies may name any of them, as Envoy has them among its headers. */
export const read = (request: Request, name: string): string | undefined => {
  switch (name) {
    case ":method":
      return request.method
    case ":path":
      return request.path
    case ":authority":
      return request.header("host")
    default:
      return request.header(name)
  }
}
