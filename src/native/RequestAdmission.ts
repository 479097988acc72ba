/**
 * Whether an HTTP request may reach the application, and as what: the path that is judged is the path that is handled.
 * Tokens are not looked at, so that whatever requires one is refused.
 */
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import * as HttpRequest from "../intention/HttpRequest.ts"
import * as PathNormalization from "../intention/PathNormalization.ts"

/** A request as Node hands it out, of either version of HTTP. */
export interface Raw {
  readonly method: string
  /** After scheme and authority. */
  readonly target: string
  /** Where the request line names the authority, which then goes before any `Host`. */
  readonly authority: string | undefined
  readonly rawHeaders: ReadonlyArray<string>
}

export type Admission =
  | { readonly _tag: "Admitted"; readonly request: HttpRequest.HttpRequest; readonly decision: Decision.Decision }
  | { readonly _tag: "Denied"; readonly decision: Decision.Decision }
  /** To be answered with 307. */
  | { readonly _tag: "Redirected"; readonly path: string }
  /** To be answered with 400. */
  | { readonly _tag: "Malformed"; readonly why: string }

export type Refused = Exclude<Admission, { readonly _tag: "Admitted" }>

/** The attribute `reason` of `mesh_http_refusals_total`. */
export const reason = { Denied: "denied", Redirected: "redirected", Malformed: "malformed" } as const satisfies Record<
  Refused["_tag"],
  string
>

export const judge = (
  authorizer: Authorizer.Authorizer,
  caller: SpiffeId.Service,
  raw: Raw,
  normalization: PathNormalization.RequestNormalization | undefined
): Admission => {
  const normalized = raw.target === "*"
    ? { _tag: "Path" as const, path: raw.target }
    : PathNormalization.normalize(raw.target, normalization)
  if (normalized._tag === "Rejected") return { _tag: "Malformed", why: normalized.why }
  if (normalized._tag === "Redirect") return { _tag: "Redirected", path: normalized.path }
  const request = withAuthority(HttpRequest.fromRaw(raw.method, normalized.path, raw.rawHeaders), raw.authority)
  const decision = authorizer.request(caller, request)
  return decision.allowed ? { _tag: "Admitted", request, decision } : { _tag: "Denied", decision }
}

const withAuthority = (request: HttpRequest.HttpRequest, authority: string | undefined): HttpRequest.HttpRequest =>
  authority === undefined
    ? request
    : { ...request, header: (name) => name === "host" ? authority : request.header(name) }

/** What is answered instead of handing a request to the application. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** `contentType` of the request: gRPC has answers of its own. */
export const refusal = (
  admission: Refused,
  contentType: string | undefined,
  withReason: boolean
): Answer => {
  switch (admission._tag) {
    case "Malformed":
      return { status: 400, headers: text, body: admission.why }
    case "Redirected":
      return { status: 307, headers: { location: admission.path }, body: "" }
    case "Denied": {
      const reason = withReason ? { "x-mesh-denied": reasonHeader(admission.decision) } : {}
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

/** What sidecars answer. */
const accessDenied = "RBAC: access denied"

/** The decision as a header can carry it: visible ASCII. */
const reasonHeader = (decision: Decision.Decision): string =>
  Decision.explain(decision).replaceAll("→", "->").replace(/[^\x20-\x7e]/g, "?")
