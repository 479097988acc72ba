/** What a JSON value is, without looking into it. */
import type { Schema } from "effect"

export const isArray = (value: Schema.Json | undefined): value is Schema.JsonArray => Array.isArray(value)

export const isObject = (value: Schema.Json | undefined): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Without what JSON does not have. */
export const plain = (value: unknown): Schema.JsonObject => JSON.parse(JSON.stringify(value))
