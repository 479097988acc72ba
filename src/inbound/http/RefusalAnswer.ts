/** What a caller is answered whose request does not reach the application: the 403, and the other refusals. */
import * as Decision from "../../intention/Decision.ts"
import type * as RequestAdmission from "./RequestAdmission.ts"

export interface RefusalAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** `contentType` of the request: gRPC has answers of its own. */
export const of = (
  refused: RequestAdmission.Refused,
  contentType: string | undefined,
  withReason: boolean
): RefusalAnswer => {
  switch (refused._tag) {
    case "Malformed":
      return { status: 400, headers: text, body: refused.why }
    case "Redirected":
      return { status: 307, headers: { location: local(refused.path) }, body: "" }
    case "Denied": {
      const reason = { "x-mesh-denied": withReason ? reasonHeader(refused.decision) : "by policy" }
      return contentType?.startsWith("application/grpc") === true
        ? {
          status: 200,
          headers: { ...reason, "content-type": "application/grpc", "grpc-status": "7", "grpc-message": accessDenied },
          body: ""
        }
        : { status: 403, headers: { ...reason, ...text }, body: accessDenied }
    }
  }
}

const text = { "content-type": "text/plain" }

/** What sidecars answer, also where a token is missing. */
const accessDenied = "RBAC: access denied"

/** Two slashes at the start would lead to another host (RFC 3986, 4.2), and so do backslashes with many a client. */
const local = (path: string): string => /^\/[/\\]/.test(path) ? `/.${path}` : path

/** The decision as a header can carry it: visible ASCII. */
const reasonHeader = (decision: Decision.Decision): string =>
  Decision.explain(decision).replaceAll("→", "->").replace(/[^\x20-\x7e]/g, "?")
