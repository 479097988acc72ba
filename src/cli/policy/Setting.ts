/** The context that the formats of `effect-mesh policy` show beside their findings. */
import type * as Notice from "../../policy/Notice.ts"
import type * as Policy from "../../policy/Policy.ts"
import { version } from "../version.ts"

/**
 * For commands that answer under each default policy that may hold, so that it needs no remark. GitHub counts paths from the
 * checkout, wherever in it the command is run.
 */
export const make = (...policies: ReadonlyArray<Policy.Policy>): Notice.Setting => {
  const missing = [...new Set(policies.flatMap(({ basis }) => basis.missing))]
  return {
    base: process.env["GITHUB_WORKSPACE"] || process.cwd(),
    version,
    remarks: missing.map((sentence) => `INCOMPLETE: ${sentence}`),
    complete: missing.length === 0
  }
}
