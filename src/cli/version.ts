import { readFileSync } from "node:fs"
import { packageFolder } from "./packageFolder.ts"

/** Of the package. */
export const version: string = (JSON.parse(readFileSync(new URL("package.json", packageFolder), "utf8")) as {
  readonly version: string
}).version
