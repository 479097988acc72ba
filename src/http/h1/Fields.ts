/**
 * The header or trailer fields of an HTTP/1.1 message, as places in the text that they came in: nothing is made for a field that
 * nobody asks for. The text has one character for each byte.
 *
 * Read strictly, as every byte that two readers could take differently is a way to smuggle: a name is a token directly before its
 * colon, a line ends with CRLF, and is never continued on the next one (RFC 9112, 5).
 */

/** Why a message was not understood, with the status of the answer to it. */
export interface Fault {
  readonly _tag: "Fault"
  readonly status: 400 | 417 | 426 | 431 | 501
  readonly why: string
  /** Whether the answer has no words, as Envoy answers what it could read and does not like. */
  readonly isSilent?: boolean | undefined
}

export const fault = (why: string, status: Fault["status"] = 400): Fault => ({ _tag: "Fault", status, why })

export class Fields {
  readonly _tag = "Fields"
  readonly text: string
  /** Four for each field: where its name and its value begin and end. */
  readonly places: ReadonlyArray<number>

  constructor(text: string, places: ReadonlyArray<number>) {
    this.text = text
    this.places = places
  }

  get count(): number {
    return this.places.length / 4
  }

  /** In the case in which it was sent. */
  name(index: number): string {
    return this.text.slice(this.places[index * 4], this.places[index * 4 + 1])
  }

  /** Without the white space around it. */
  value(index: number): string {
    return this.text.slice(this.places[index * 4 + 2], this.places[index * 4 + 3])
  }

  /** `name` is in lower case. */
  isNamed(index: number, name: string): boolean {
    const start = this.places[index * 4]!
    if (this.places[index * 4 + 1]! - start !== name.length) return false
    for (let i = 0; i < name.length; i++) {
      if (lowerCase[this.text.charCodeAt(start + i)] !== name.charCodeAt(i)) return false
    }
    return true
  }

  /** The first one from `from` on; -1: there is none. `name` is in lower case. */
  indexOf(name: string, from = 0): number {
    for (let index = from; index < this.count; index++) if (this.isNamed(index, name)) return index
    return -1
  }

  /** As `IncomingMessage.rawHeaders` of Node. */
  toRaw(): Array<string> {
    return Array.from({ length: this.count * 2 }, (_, i) => i % 2 === 0 ? this.name(i / 2) : this.value((i - 1) / 2))
  }
}

/** Reads fields from `start` up to the empty line, which ends the text. */
export const parse = (text: string, start: number, maxFields: number): Fields | Fault => {
  const places: Array<number> = []
  let at = start
  while (text.charCodeAt(at) !== carriageReturn) {
    if (places.length / 4 >= maxFields) return fault(`there are more than ${maxFields} fields`, 431)
    const nameStart = at
    while (token[text.charCodeAt(at)] === 1) at++
    if (text.charCodeAt(at) !== colon || at === nameStart) return fault(misnamed(text, nameStart, at))
    const nameEnd = at++
    while (isBlank(text.charCodeAt(at))) at++
    const valueStart = at
    while (fieldContent[text.charCodeAt(at)] === 1) at++
    if (!isLineEnd(text, at)) return fault(`the value of ${text.slice(nameStart, nameEnd)} has a control character`)
    let valueEnd = at
    while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--
    places.push(nameStart, nameEnd, valueStart, valueEnd)
    at += 2
  }
  return isLineEnd(text, at) && at + 2 === text.length ? new Fields(text, places) : fault("a line ends with a bare CR")
}

const misnamed = (text: string, start: number, at: number): string =>
  at === start && isBlank(text.charCodeAt(at))
    ? "a field is continued on the next line"
    : isBlank(text.charCodeAt(at))
    ? "there is white space in the name of a field, or behind it"
    : "a line is no field"

export const isLineEnd = (text: string, at: number): boolean =>
  text.charCodeAt(at) === carriageReturn && text.charCodeAt(at + 1) === lineFeed

const isBlank = (code: number): boolean => code === 32 || code === 9

const carriageReturn = 13
const lineFeed = 10
const colon = 58

const table = (holds: (code: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, i) => holds(i) ? 1 : 0)

/** RFC 9110, 5.6.2. */
export const token = table((code) => /[\w!#$%&'*+.^`|~-]/.test(String.fromCharCode(code)))

/** RFC 9110, 5.5. */
const fieldContent = table((code) => code === 9 || (code >= 32 && code !== 127))

const lowerCase = Uint8Array.from({ length: 256 }, (_, i) => i >= 65 && i <= 90 ? i + 32 : i)

/** Without any field. */
export const none: Fields = new Fields("\r\n", [])

/** From a list `name, value, name, value, …`. What can not be said in HTTP/1.1 is left out. */
export const ofRaw = (raw: ReadonlyArray<string>): Fields => {
  const places: Array<number> = []
  let text = ""
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!.trim()
    if (!isName(name) || /[\r\n\0]/.test(value)) continue
    const start = text.length
    const valueStart = start + name.length + 2
    places.push(start, start + name.length, valueStart, valueStart + value.length)
    text += `${name}: ${value}\r\n`
  }
  return new Fields(`${text}\r\n`, places)
}

const isName = (name: string): boolean => {
  for (let i = 0; i < name.length; i++) if (token[name.charCodeAt(i)] !== 1) return false
  return name.length > 0
}
