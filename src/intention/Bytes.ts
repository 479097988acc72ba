/**
 * Texts of policies against texts of requests. Conditions compare bytes. Node hands out request paths and header values
 * with one character for each byte (latin1), whereas policies hold Unicode text; so policies are turned into that form once.
 */

// eslint-disable-next-line no-control-regex -- ASCII is what it says
const ascii = /^[\0-\x7f]*$/

/** The UTF-8 bytes of a text, one character each. */
export const fromText = (text: string): string => ascii.test(text) ? text : Buffer.from(text, "utf8").toString("latin1")

/** The text that the bytes encode in UTF-8, or `undefined` where they encode none. */
export const toText = (bytes: string): string | undefined => {
  if (ascii.test(bytes)) return bytes
  try {
    return utf8.decode(Buffer.from(bytes, "latin1"))
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Lower case for ASCII letters only, as Envoy folds. `toLowerCase` alone would fold `É` and the Kelvin sign too. */
export const foldCase = (bytes: string): string =>
  /[A-Z]/.test(bytes) ? bytes.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : bytes
