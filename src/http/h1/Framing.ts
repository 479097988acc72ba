/** How the body of a message is told from what follows it (RFC 9112, 6). What could be read in two ways is a fault. */
import * as Fields from "./Fields.ts"

export type Framing =
  | { readonly _tag: "Length"; readonly bytes: number }
  | { readonly _tag: "Chunked" }
  /** Of an answer: until the connection ends. */
  | { readonly _tag: "UntilEnd" }

export const none: Framing = { _tag: "Length", bytes: 0 }
/** Until it is said to end. */
export const chunked: Framing = { _tag: "Chunked" }
const untilEnd: Framing = { _tag: "UntilEnd" }

/** Without a length and a coding, a request has no body. */
export const ofRequest = (fields: Fields.Fields): Framing | Fields.Fault => declared(fields) ?? none

/** `isBodiless`: its status, or the method of its request, leaves no place for one. */
export const ofAnswer = (fields: Fields.Fields, isBodiless: boolean, minor: number): Framing | Fields.Fault => {
  const framing = declared(fields)
  if (framing?._tag === "Fault") return framing
  if (framing?._tag === "Chunked" && minor === 0) return Fields.fault("an answer of HTTP/1.0 is chunked")
  return isBodiless ? none : framing ?? untilEnd
}

const declared = (fields: Fields.Fields): Framing | Fields.Fault | undefined => {
  const length = fields.indexOf("content-length")
  const coding = fields.indexOf("transfer-encoding")
  if (coding >= 0) {
    if (length >= 0) return Fields.fault("there are both Content-Length and Transfer-Encoding")
    if (isOddlySpaced(fields, coding)) return Fields.fault("there is a tab behind Transfer-Encoding")
    const isSingle = fields.indexOf("transfer-encoding", coding + 1) < 0
    return isSingle && fields.value(coding).toLowerCase() === "chunked"
      ? chunked
      : Fields.fault("Transfer-Encoding is something else than chunked", 501)
  }
  if (length < 0) return undefined
  if (fields.indexOf("content-length", length + 1) >= 0) return Fields.fault("there is more than one Content-Length")
  const bytes = decimal(fields.value(length))
  return bytes === undefined ? Fields.fault("Content-Length is no number") : { _tag: "Length", bytes }
}

/** White space to us, part of the value to some. */
const isOddlySpaced = ({ places, text }: Fields.Fields, index: number): boolean => {
  const end = places[index * 4 + 3]!
  return text.slice(end, text.indexOf("\r", end)).includes("\t")
}

const decimal = (text: string): number | undefined => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(value) ? value : undefined
}
