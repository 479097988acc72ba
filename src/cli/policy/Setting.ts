/** What the formats of `effect-mesh policy` say besides their findings. */
import type * as Notice from "../../policy/Notice.ts"
import * as Policy from "../../policy/Policy.ts"
import { version } from "../version.ts"

/** GitHub counts paths from the checkout, wherever in it the command is run. */
export const make = (...policies: ReadonlyArray<Policy.Policy>): Notice.Setting => ({
  base: process.env["GITHUB_WORKSPACE"] || process.cwd(),
  version,
  remarks: [...new Set(policies.flatMap(Policy.remarks))],
  complete: policies.every(({ basis }) => basis.missing.length === 0)
})
