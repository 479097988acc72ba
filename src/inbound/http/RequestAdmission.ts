/**
 * Whether an HTTP request may reach the application, and as what: the path that is judged is the path that is handled.
 * Where the verdict depends on tokens, they are left to `TokenAdmission`.
 */
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Decision from "../../intention/Decision.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import * as PathNormalization from "../../intention/PathNormalization.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import * as TokenAdmission from "./TokenAdmission.ts"

/** A request as Node hands it out, of either version of HTTP. */
export interface Raw {
  readonly method: string
  /** After scheme and authority. */
  readonly target: string
  /** Where the request line names the authority, which then goes before any `Host`. */
  readonly authority: string | undefined
  /** Read only where somebody looks at headers. */
  readonly rawHeaders: ReadonlyArray<string>
  /** How many headers there are. Default: as many as the list has. */
  readonly headerCount?: number | undefined
}

export interface Admitted {
  readonly _tag: "Admitted"
  readonly request: Request
  readonly decision: Decision.Decision
  /** `TokenAdmission.changes` of it are to be made to the request before the application gets it. */
  readonly presented: TokenAdmission.Presented
}

export interface Denied {
  readonly _tag: "Denied"
  readonly decision: Decision.Decision
  readonly presented: TokenAdmission.Presented
}

/** To be answered with 400. */
interface Malformed {
  readonly _tag: "Malformed"
  readonly why: string
}

export type Concluded =
  | Admitted
  | Denied
  /** To be answered with 307. */
  | { readonly _tag: "Redirected"; readonly path: string }
  | Malformed

export type Refused = Exclude<Concluded, { readonly _tag: "Admitted" }>

/** The attribute `reason` of `mesh_http_refusals_total`. */
export const reasonOf = (refused: Refused): string => {
  switch (refused._tag) {
    case "Denied":
      return TokenAdmission.isUnauthenticated(refused.decision, refused.presented) ? "unauthenticated" : "denied"
    case "Redirected":
      return "redirected"
    case "Malformed":
      return "malformed"
  }
}

/** What is known at once. `Open`: it depends on tokens. */
export type Judgement = Concluded | { readonly _tag: "Open"; readonly request: Request }

export const judge = (
  authorizer: Authorizer.Authorizer,
  caller: SpiffeId.Service,
  raw: Raw,
  normalization: PathNormalization.RequestNormalization | undefined
): Judgement => {
  // Readers take these for what they are not: routers for methods in upper case, parsers of URLs for paths of their own.
  if (raw.method !== raw.method.toUpperCase()) return malformed("the method is not in upper case")
  if (!raw.target.startsWith("/") && raw.target !== "*") return malformed("the path does not start with a slash")
  if ((raw.headerCount ?? raw.rawHeaders.length / 2) >= maxHeaders) {
    return malformed(`it has ${maxHeaders} headers or more`)
  }
  const normalized = raw.target === "*"
    ? { _tag: "Path" as const, path: raw.target }
    : PathNormalization.normalize(raw.target, normalization)
  if (normalized._tag === "Rejected") return malformed(normalized.why)
  if (normalized._tag === "Redirect") return { _tag: "Redirected", path: normalized.path }
  const { path } = normalized
  let open = false
  const notingTokens: TokenRequirement.Tokens = () => {
    open = true
    return undefined
  }
  const request = requestOf(raw, path, () => raw.rawHeaders)
  const decision = decide(authorizer, caller, request, notingTokens)
  if (open && decision.because !== "ambiguous") {
    // A copy, as what is judged again later is what was sent, not what was made of it for the application.
    const sent = [...raw.rawHeaders]
    return { _tag: "Open", request: requestOf(raw, path, () => sent) }
  }
  return conclude(request, decision, TokenAdmission.nobody)
}

export const conclude = (
  request: Request,
  decision: Decision.Decision,
  presented: TokenAdmission.Presented
): Admitted | Denied | Malformed =>
  decision.because === "ambiguous"
    ? malformed(decision.detail ?? "")
    : decision.allowed
    ? { _tag: "Admitted", request, decision, presented }
    : { _tag: "Denied", decision, presented }

/** Node hands applications no more of them over HTTP/1.1, without a word about the rest. */
const maxHeaders = 1000

const malformed = (why: string): Malformed => ({ _tag: "Malformed", why })

/** A request of which it is known what the application may read in another way. */
export interface Request extends HttpRequest.HttpRequest {
  readonly isAmbiguous: (name: string) => boolean
}

/** By the intentions, unless they look at a header that the application may read in another way. */
export const decide = (
  authorizer: Authorizer.Authorizer,
  caller: SpiffeId.Service,
  request: Request,
  tokens: TokenRequirement.Tokens
): Decision.Decision => {
  let ambiguous: string | undefined
  const decision = authorizer.request(caller, {
    method: request.method,
    path: request.path,
    lines: request.lines,
    header: (name) => {
      if (request.isAmbiguous(name)) ambiguous = name
      return request.header(name)
    }
  }, tokens)
  return ambiguous === undefined
    ? decision
    : Decision.make(false, "ambiguous", undefined, undefined, `the header ${ambiguous} says several things`)
}

const requestOf = ({ authority, method }: Raw, path: string, rawHeaders: () => ReadonlyArray<string>): Request => {
  let read: HttpRequest.HttpRequest | undefined
  const full = () => read ??= HttpRequest.fromRaw(method, path, rawHeaders())
  const isNamed = (name: string) => authority !== undefined && name === "host"
  return {
    method,
    path,
    header: (name) => isNamed(name) ? authority : full().header(name),
    lines: (name) => isNamed(name) ? undefined : full().lines(name),
    isAmbiguous: (name) => !isNamed(name) && HttpRequest.isAmbiguous(rawHeaders(), name)
  }
}
