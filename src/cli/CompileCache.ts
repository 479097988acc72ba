/**
 * What V8 has compiled, kept for the next start: that accepts after 0.8 of the time. Node writes it when the program ends, and reads it only for the
 * same source, version and flags. Who can write there decides what runs here, so it is a folder that nobody else can.
 *
 * Imported before the version of Node is known: nothing here may ask for a name that an older one does not have.
 */
import { mkdirSync, realpathSync, statSync } from "node:fs"
import Module from "node:module"
import { isAbsolute, join } from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

/** From then on it does not change much. Writing it for the first time takes some 50 ms. */
const startedMillis = 10_000

/** `NODE_COMPILE_CACHE` has Node itself open another one. */
export const open = (environment: Environment): void => {
  if (environment["NODE_COMPILE_CACHE"] === undefined) {
    const folder = environment["NODE_DISABLE_COMPILE_CACHE"] === undefined ? folderOf(environment) : undefined
    if (folder === undefined) return
    Module.enableCompileCache(folder)
  }
  // Writes it for those that will be killed, and gives the memory back that it was read into.
  setTimeout(() => Module.flushCompileCache(), startedMillis).unref()
}

/** Made where it is not there. None, where it would not be ours alone, or can not be made. */
export const folderOf = (environment: Environment): string | undefined => {
  const [base, ...rest] = wanted(environment)
  if (base === undefined || !isAbsolute(base)) return undefined
  try {
    let folder = realpathSync(base)
    for (const name of ["", ...rest]) {
      folder = join(folder, name)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      if (!isOurs(folder)) return undefined
    }
    return folder
  } catch {
    return undefined
  }
}

/** The folder of systemd's `CacheDirectory=`, or one beside the caches of other programs. */
const wanted = ({ CACHE_DIRECTORY, HOME, XDG_CACHE_HOME }: Environment): ReadonlyArray<string> =>
  CACHE_DIRECTORY !== undefined
    ? CACHE_DIRECTORY.split(":").slice(0, 1)
    : XDG_CACHE_HOME !== undefined
    ? [XDG_CACHE_HOME, "effect-mesh"]
    : HOME !== undefined
    ? [HOME, ".cache", "effect-mesh"]
    : []

const isOurs = (folder: string): boolean => {
  const { mode, uid } = statSync(folder)
  return uid === process.geteuid?.() && (mode & 0o022) === 0
}
