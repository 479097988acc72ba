/** What the proxy answers by itself, where no instance does: in words for HTTP, with a status of its own for gRPC. */
import { STATUS_CODES } from "node:http"
import * as Fields from "../h1/Fields.ts"
import type * as Exchange from "./Exchange.ts"
import * as Marks from "./Marks.ts"

export interface OwnAnswer {
  readonly status: number
  /** Empty: there is none. */
  readonly body: string
  /** Further fields, `name: value` with their CRLFs. */
  readonly more: string
  /** Why, as access logs have it: `RESPONSE_FLAGS` and `RESPONSE_CODE_DETAILS` of Envoy. */
  readonly flags: string
  readonly details: string
  /** Whether the connection ends with it, where there is one for each request. */
  readonly closes: boolean
}

export const make = (status: number, body: string, flags: string, details: string, more = ""): OwnAnswer => ({
  status,
  body,
  flags,
  details,
  more,
  closes: status === 400
})

/** What goes out. */
export interface Sent {
  readonly head: Exchange.AnswerHead
  readonly body: Buffer | undefined
}

export const isGrpc = ({ fields }: Exchange.ServerExchange["request"]): boolean => {
  const index = fields.indexOf("content-type")
  return index >= 0 && /^application\/grpc(?:\+|$)/.test(fields.value(index))
}

export const sent = (
  { body, closes, more, status }: OwnAnswer,
  { request, version }: Pick<Exchange.ServerExchange, "request" | "version">,
  marks: Marks.Marks
): Sent => {
  if (isGrpc(request)) {
    const { head, body: none } = grpc(status, body, `${more}${version === "1.1" ? "content-length: 0\r\n" : ""}`, marks)
    return { head: { ...head, closes }, body: none }
  }
  const size = body.length > 0
    ? `content-length: ${body.length}\r\ncontent-type: text/plain\r\n`
    : version === "1.1"
    ? "content-length: 0\r\n"
    : ""
  const isSilent = body.length === 0 || request.method === "HEAD"
  return {
    head: { ...head(status, `${more}${size}${Marks.own(marks)}`, isSilent ? "none" : "length"), closes },
    body: isSilent ? undefined : Buffer.from(body, "latin1")
  }
}

/** An answer of gRPC has the status 200, and its own beside it. */
const grpc = (status: number, body: string, more: string, marks: Marks.Marks): Sent => {
  const message = body === ""
    ? ""
    : `grpc-message: ${encodeURIComponent(body).replace(/%2[0C7-9A]|%3[A]|%2F/g, plain)}\r\n`
  return {
    head: head(
      200,
      `${more}content-type: application/grpc\r\ngrpc-status: ${grpcStatus(status)}\r\n${message}${Marks.own(marks)}`,
      "none"
    ),
    body: undefined
  }
}

/** Of gRPC's percent-encoding only what is no visible ASCII is left. */
const plain = (escaped: string): string => decodeURIComponent(escaped)

/** As gRPC maps the statuses of proxies between. */
const grpcStatus = (status: number): number => {
  switch (status) {
    case 400:
      return 13
    case 401:
      return 16
    case 403:
      return 7
    case 404:
      return 12
    case 429:
    case 502:
    case 503:
    case 504:
      return 14
    default:
      return 2
  }
}

const head = (status: number, more: string, body: Exchange.Body): Exchange.AnswerHead => ({
  status,
  reason: STATUS_CODES[status] ?? "",
  fields: Fields.none,
  dropped: [],
  more,
  body
})
