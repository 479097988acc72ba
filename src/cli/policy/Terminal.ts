/** The abilities of standard output. */
import type * as MatrixText from "../../policy/report/MatrixText.ts"

/** Colours in a terminal only, unless `NO_COLOR` is set (https://no-color.org). */
export const of = (
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: { readonly [name: string]: string | undefined }
): MatrixText.Terminal => ({
  color: stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb",
  width: stream.isTTY === true ? stream.columns ?? 80 : 120
})
