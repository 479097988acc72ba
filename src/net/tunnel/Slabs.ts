/**
 * Memory for what is written together, used again once it has left.
 *
 * A new buffer for each write is garbage that V8 finds late: it waits for its write, by then counts as old, and only a collection of the
 * whole heap frees it. A tunnel that carries bodies so makes several of these a second, each a pause for all that it carries.
 */

/** Sizes in bytes, and how many of each are kept for all tunnels of the process. What is larger or smaller is made anew. */
const kinds = [{ bytes: 64 * 1024, kept: 16 }, { bytes: 384 * 1024, kept: 4 }] as const

/** Below it Node cuts buffers from a shared one. */
const least = 4 * 1024

const free = new Map<number, Array<Buffer>>(kinds.map(({ bytes }) => [bytes, []]))

/** At least so many bytes, with anything in them. */
export const take = (bytes: number): Buffer => {
  const kind = bytes < least ? undefined : kinds.find((kind) => kind.bytes >= bytes)
  if (kind === undefined) return Buffer.allocUnsafe(bytes)
  return free.get(kind.bytes)!.pop() ?? Buffer.allocUnsafeSlow(kind.bytes)
}

/** Nobody reads it any more. */
export const give = (slab: Buffer): void => {
  const kind = kinds.find(({ bytes }) => bytes === slab.length)
  if (kind === undefined) return
  const same = free.get(kind.bytes)!
  if (same.length < kind.kept) same.push(slab)
}
