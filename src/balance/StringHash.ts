/** Spreads texts evenly over 32 bits. Stable over processes and versions: which instance serves a key depends on it. */
export const hash = (text: string, seed = 0): number => {
  // FNV-1a, then the finalizer of MurmurHash3, as FNV alone leaves similar texts near each other.
  let h = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
