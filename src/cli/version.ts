import { readFileSync } from "node:fs"

/** Of the package: beside `src/` in the repository, beside `dist/` when installed. */
export const version: string = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}).version
