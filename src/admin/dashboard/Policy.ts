/** What a page may do: run its one script, show its one style, and ask its own server. Nothing comes from elsewhere. */
import { createHash } from "node:crypto"

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** The headers of a page with this script and this style in it. */
export const headers = ({ script, style }: { readonly script: string; readonly style: string }) => ({
  "content-security-policy": [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; "),
  "referrer-policy": "no-referrer"
})
