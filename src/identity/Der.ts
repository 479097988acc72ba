/**
 * Reading DER, as far as certificates need it: elements one after the other. Lengths are checked against what is there; anything that
 * does not fit throws. Tags of more than one byte and lengths that are not definite do not occur in certificates, and throw as well.
 */

/** One element: where its contents begin and end. */
export interface Element {
  readonly bytes: Uint8Array
  readonly tag: number
  readonly start: number
  readonly end: number
}

export const tags = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30
} as const

/** Of the class that depends on where it stands. */
export const context = (number: number, constructed: boolean): number => 0x80 | (constructed ? 0x20 : 0) | number

/** The element that begins at `at`, of what ends at `limit`. */
const read = (bytes: Uint8Array, at: number, limit: number): Element => {
  const byte = (index: number): number => {
    if (index >= limit) throw new Error("it ends within an element")
    return bytes[index]!
  }
  const tag = byte(at)
  if ((tag & 0x1f) === 0x1f) throw new Error("a tag has more than one byte")
  const first = byte(at + 1)
  let start = at + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 4) throw new Error("a length is not definite, or has more than four bytes")
    length = 0
    for (; start < at + 2 + count; start++) length = length * 256 + byte(start)
  }
  if (length > limit - start) throw new Error("an element is longer than what it stands in")
  return { bytes, tag, start, end: start + length }
}

/** The only element of `bytes`. */
export const only = (bytes: Uint8Array, tag: number): Element => expect(read(bytes, 0, bytes.length), tag, bytes.length)

/** The only element within an octet string. */
export const within = ({ bytes, end, start }: Element, tag: number): Element =>
  expect(read(bytes, start, end), tag, end)

const expect = (element: Element, tag: number, end: number): Element => {
  if (element.tag !== tag) throw new Error(`there is a tag ${element.tag} where ${tag} should be`)
  if (element.end !== end) throw new Error("something follows the last element")
  return element
}

/** The elements that it consists of. */
export const parts = ({ bytes, end, start }: Element): ReadonlyArray<Element> => {
  const all: Array<Element> = []
  for (let at = start; at < end;) {
    const element = read(bytes, at, end)
    all.push(element)
    at = element.end
  }
  return all
}

export const contents = ({ bytes, end, start }: Element): Uint8Array => bytes.subarray(start, end)

/** Lower case. */
export const hex = (element: Element): string => Buffer.from(contents(element)).toString("hex")

/** One character for each byte. */
export const text = (element: Element): string => Buffer.from(contents(element)).toString("latin1")

/** Its bits, the first one of its first byte being 0. */
export const bit = (element: Element, index: number): boolean => {
  const byte = contents(element)[1 + (index >> 3)] ?? 0
  return (byte & (0x80 >> (index & 7))) !== 0
}
