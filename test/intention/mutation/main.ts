/**
 * Breaks the Authorizer in every way of `mutants.ts`, one at a time and in a copy, and runs its tests: each must fail.
 * `npm run test:mutation`; a name as the argument runs the mutants whose names have it. Takes two to three minutes.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as Mutants from "./mutants.ts"

const root = resolve(import.meta.dirname, "../../..")
const wanted = process.argv[2] ?? ""
/** An infinite loop counts as noticed. */
const limitMilliseconds = 60_000

const copy = mkdtempSync(join(tmpdir(), "effect-mesh-mutation-"))

/** Whether the tests pass. */
const pass = (): boolean => {
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "test/intention",
      "--bail=1",
      "--reporter=dot",
      "--no-isolate"
    ],
    { cwd: copy, timeout: limitMilliseconds, stdio: "ignore" }
  )
  return status === 0
}

const apply = ({ file, from, name, to }: Mutants.Mutant): () => void => {
  const path = join(copy, file)
  const text = readFileSync(path, "utf8")
  const parts = text.split(from)
  if (parts.length !== 2) {
    throw new Error(`the mutant "${name}" fits ${parts.length - 1} places of ${file}: adapt it to the code`)
  }
  writeFileSync(path, parts.join(to))
  return () => writeFileSync(path, text)
}

try {
  for (const folder of ["src/identity", "src/intention", "test/intention", "test/support", "test/fixtures/vectors"]) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true })
  }
  for (const file of ["package.json", "tsconfig.json", "vitest.config.ts"]) cpSync(join(root, file), join(copy, file))
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))

  if (!pass()) throw new Error("the tests fail without any mutant: mend that first")
  const mutants = Mutants.all.filter((mutant) => mutant.name.includes(wanted))
  const survivors = mutants.filter((mutant) => {
    const undo = apply(mutant)
    const survived = pass()
    undo()
    process.stdout.write(
      `${survived ? "SURVIVED" : "noticed "}  ${mutant.file.slice("src/intention/".length)}: ${mutant.name}\n`
    )
    return survived
  })
  process.stdout.write(`\n${mutants.length - survivors.length} of ${mutants.length} wrong Authorizers noticed\n`)
  if (survivors.length > 0) process.exitCode = 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
