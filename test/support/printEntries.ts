/** Config entries as people write them, in formats other than JSON. */
import * as Yaml from "yaml"

type Entry = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Entry =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Objects as blocks, and those of a list as blocks that come several times. */
export const hclBlocks = (entry: Entry, indent = ""): string =>
  Object.entries(entry).map(([key, value]) => {
    const blocks = Array.isArray(value) && value.length > 0 && value.every(isObject)
      ? value as ReadonlyArray<Entry>
      : isObject(value)
      ? [value]
      : undefined
    return blocks === undefined
      ? `${indent}${key} = ${hclValue(value)}\n`
      : blocks.map((block) => `${indent}${key} {\n${hclBlocks(block, `${indent}  `)}${indent}}\n`).join("")
  }).join("")

/** Everything with an equals sign, in snake case. */
export const hclLists = (entry: Entry): string =>
  Object.entries(entry).map(([key, value]) => `${snakeCase(key)} = ${hclValue(value)}\n`).join("")

const hclValue = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(hclValue).join(", ")}]`
    : isObject(value)
    ? `{\n${hclLists(value)}}`
    : JSON.stringify(value)

const snakeCase = (key: string): string => key.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase()

export const yaml = (entry: Entry): string => Yaml.stringify(entry, { compat: "yaml-1.1" })

/** As a resource of Kubernetes. */
export const resource = ({ Kind: _kind, Name, ...rest }: Entry): string =>
  yaml({
    apiVersion: "consul.hashicorp.com/v1alpha1",
    kind: "ServiceIntentions",
    metadata: { name: "some-name", namespace: "shop" },
    spec: { destination: { name: Name }, ...camelCase(rest) as Entry }
  })

const camelCase = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(camelCase)
    : isObject(value)
    ? Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key === "HTTP" ? "http" : key.charAt(0).toLowerCase() + key.slice(1),
        camelCase(inner)
      ])
    )
    : value
