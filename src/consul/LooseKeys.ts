/**
 * Keys as Consul's own decoder reads them: `sidecar_service`, `SidecarService` and `sidecarservice` are one
 * (`lib/decode`, `mapstructure`). Keys of free maps, such as `Meta` and `Config`, belong to the user and stay as they are.
 */
import { Result, Schema, type SchemaAST } from "effect"

/**
 * The same value with the spelling of `schema`. Fails with the path of each key that no field answers to:
 * `Connect.SidecarService.Prozy`.
 */
export const conform = (
  schema: Schema.Top,
  value: unknown
): Result.Result<unknown, readonly [string, ...Array<string>]> => {
  const unknown: Array<string> = []
  const conformed = walk(Schema.toType(schema).ast, value, [], unknown)
  const [first, ...rest] = unknown
  return first === undefined ? Result.succeed(conformed) : Result.fail([first, ...rest])
}

const walk = (ast: SchemaAST.AST, value: unknown, path: ReadonlyArray<string>, unknown: Array<string>): unknown => {
  if (Array.isArray(value)) {
    const item = ast._tag === "Arrays" ? ast.rest[0] : undefined
    return item === undefined ? value : value.map((each, i) => walk(item, each, [...path, String(i)], unknown))
  }
  if (ast._tag !== "Objects" || typeof value !== "object" || value === null) return value
  const free = ast.indexSignatures[0]
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => {
      const field = ast.propertySignatures.find((signature) => loose(String(signature.name)) === loose(key))
      const name = field === undefined ? key : String(field.name)
      const type = field?.type ?? free?.type
      if (type === undefined) {
        unknown.push([...path, key].join("."))
        return [key, each]
      }
      return [name, walk(type, each, [...path, name], unknown)]
    })
  )
}

const loose = (key: string): string => key.replaceAll("_", "").toLowerCase()
