/**
 * What Go's `mapstructure` makes of a scalar where another type is expected, in the weak mode in which Consul reads config
 * entries. Undefined: nothing, it refuses.
 */

export type Scalar = string | number | boolean

export const text = (value: Scalar): string =>
  typeof value === "boolean" ? (value ? "1" : "0") : typeof value === "number" ? formatFloat(value) : value

export const number = (value: Scalar): number | undefined =>
  typeof value === "number"
    ? value
    : typeof value === "boolean"
    ? (value ? 1 : 0)
    : value === ""
    ? 0
    : value.trim() !== "" && Number.isFinite(Number(value))
    ? Number(value)
    : undefined

export const boolean = (value: Scalar): boolean | undefined =>
  typeof value === "boolean"
    ? value
    : typeof value === "number"
    ? value !== 0
    : /^(1|t|T|TRUE|true|True)$/.test(value)
    ? true
    : /^(0|f|F|FALSE|false|False|)$/.test(value)
    ? false
    : undefined

/** `strconv.FormatFloat(value, 'f', -1, 64)`: without an exponent, `1e21` is `1000000000000000000000`. */
export const formatFloat = (value: number): string => {
  const [digits = "", exponent] = String(Math.abs(value)).split("e")
  if (exponent === undefined) return Object.is(value, -0) ? "-0" : String(value)
  const [whole = "", fraction = ""] = digits.split(".")
  const point = whole.length + Number(exponent)
  const all = whole + fraction
  const text = point <= 0
    ? `0.${"0".repeat(-point)}${all}`
    : point >= all.length
    ? all.padEnd(point, "0")
    : `${all.slice(0, point)}.${all.slice(point)}`
  return value < 0 ? `-${text}` : text
}
