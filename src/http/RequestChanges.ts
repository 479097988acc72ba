/**
 * What a token leaves of the request that the application gets: no token, unless it is to be forwarded, and the payload where
 * that is asked for. Made in Node's own object, and told to those that have read it already.
 */
export interface RequestChanges {
  /** Headers, in lower case, … */
  readonly remove: ReadonlyArray<string>
  /** … those that come in their place, … */
  readonly add: ReadonlyArray<readonly [name: string, value: string]>
  /** … and parameters of the query to leave out. */
  readonly parameters: ReadonlyArray<string>
}

export const none: RequestChanges = { remove: [], add: [], parameters: [] }

export const merge = (all: ReadonlyArray<RequestChanges>): RequestChanges => ({
  remove: all.flatMap(({ remove }) => remove),
  add: all.flatMap(({ add }) => add),
  parameters: all.flatMap(({ parameters }) => parameters)
})

/** A request in any of the forms in which Node has one. */
export interface Message {
  readonly rawHeaders: Array<string>
  readonly headers: NodeJS.Dict<string | Array<string>>
  readonly headersDistinct?: NodeJS.Dict<Array<string>>
  url?: string | undefined
}

/** Makes them. Code that has read headers or the URL before keeps what was sent. */
export const apply = (message: Message, { add, parameters, remove }: RequestChanges): void => {
  if (remove.length > 0) removeHeaders(message, new Set(remove))
  for (const [name, value] of add) addHeader(message, name, value)
  if (parameters.length === 0) return
  const { headers, rawHeaders, url } = message
  if (url !== undefined) message.url = withoutParameters(url, parameters)
  const path = headers[":path"]
  if (typeof path === "string") headers[":path"] = withoutParameters(path, parameters)
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i] === ":path") rawHeaders[i + 1] = withoutParameters(rawHeaders[i + 1]!, parameters)
  }
}

/** Does nothing to a message without them. */
export const removeHeaders = (message: Message, names: ReadonlySet<string>): void => {
  const raw = message.rawHeaders
  let present = false
  for (let i = 0; i < raw.length && !present; i += 2) present = names.has(raw[i]!.toLowerCase())
  if (!present) return
  // Node makes the other views of the list when they are first asked for, and expects it as it was.
  const { headers, headersDistinct = {} } = message
  for (const name of names) {
    delete headers[name]
    delete headersDistinct[name]
  }
  let kept = 0
  for (let i = 0; i < raw.length; i += 2) {
    if (names.has(raw[i]!.toLowerCase())) continue
    raw[kept++] = raw[i]!
    raw[kept++] = raw[i + 1]!
  }
  raw.length = kept
}

const addHeader = ({ headers, headersDistinct = {}, rawHeaders }: Message, name: string, value: string): void => {
  headers[name] = value
  headersDistinct[name] = [value]
  rawHeaders.push(name, value)
}

/** The rest of the target stays as it is, byte by byte. */
export const withoutParameters = (target: string, names: ReadonlyArray<string>): string => {
  const at = target.indexOf("?")
  if (at === -1) return target
  const kept = target.slice(at + 1).split("&").filter((pair) => !names.includes(nameOf(pair))).join("&")
  return kept === "" ? target.slice(0, at) : `${target.slice(0, at)}?${kept}`
}

const nameOf = (pair: string): string => new URLSearchParams(pair).keys().next().value ?? ""
