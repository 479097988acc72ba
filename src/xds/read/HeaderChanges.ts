/** What a route or a leg changes in headers, as a service-router says it. */
import type { Schema } from "effect"
import type * as Fields from "./Fields.ts"

/** Of a `Route`, or of one of its weighted clusters. */
export const read = (fields: Fields.Fields): Schema.JsonObject => {
  const request = modifiers(fields, "request")
  const response = modifiers(fields, "response")
  return {
    ...(request === undefined ? {} : { RequestHeaders: request }),
    ...(response === undefined ? {} : { ResponseHeaders: response })
  }
}

const modifiers = (fields: Fields.Fields, of: "request" | "response"): Schema.JsonObject | undefined => {
  const add: Record<string, string> = {}
  const set: Record<string, string> = {}
  const options = fields.many(`${of}_headers_to_add`)
  for (const option of options) {
    option.skip("keep_empty_value")
    const header = option.one("header")
    const key = header?.text("key") ?? ""
    const appends = option.choice("append")
    const action = option.text("append_action")
    const known = action === "" || action === "APPEND_IF_EXISTS_OR_ADD" || action === "OVERWRITE_IF_EXISTS_OR_ADD"
    if (key === "" || !known) option.flaw("it changes headers in a way that is not known")
    const to = appends === false || action === "OVERWRITE_IF_EXISTS_OR_ADD" ? set : add
    if (Object.hasOwn(to, key)) option.flaw(`it is the second one for ${key}`)
    to[key] = header?.text("value") ?? ""
  }
  const remove = fields.texts(`${of}_headers_to_remove`)
  return options.length === 0 && remove.length === 0 ? undefined : { Add: add, Set: set, Remove: remove }
}
