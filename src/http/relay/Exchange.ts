/**
 * The two sides of a request that a proxy passes on, whichever versions of HTTP they speak. What is between them knows heads,
 * pieces of bodies and their ends, and no sockets.
 *
 *     client ──▶ ServerExchange ──▶ relay ──▶ Outbound ──▶ instance
 *            ◀──                ◀──       ◀──          ◀──
 *
 * Whoever takes pieces governs the flow: `write` says whether there is room, `drained` that there is again.
 */
import type * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"
import type * as Lines from "../h1/Lines.ts"

export type Version = "1.1" | "2"

/** Takes the body of a message while it comes in. */
export interface Sink {
  readonly data: (bytes: Buffer) => void
  /** It is whole. Over HTTP/1.1 trailers end here: what follows is told by the fields that came first. */
  readonly end: (trailers: Fields.Fields | undefined) => void
}

/** Hears what a client does while its request is at hand. */
export interface Client extends Sink {
  /** There is room for more of the answer. */
  readonly drained: () => void
  /** The client has left, or broke the rules: nobody waits for the answer any more. */
  readonly gone: () => void
}

/** How the receiver is told where the body ends. `none`: there is no body, whatever the fields say of its length. */
export type Body = "none" | "length" | "streamed"

export interface AnswerHead extends Lines.Lines {
  readonly status: number
  /** Of HTTP/1.1. */
  readonly reason: string
  readonly body: Body
  /** Whether nothing else is to be read from the client: what came can not be trusted to end where it seems to. */
  readonly closes?: boolean | undefined
}

/** A request that a client sent, and the answer to it. */
export interface ServerExchange {
  readonly version: Version
  /** `host` among its fields is the authority, also over HTTP/2: exactly one, unless it was sent otherwise. */
  readonly request: Head.Request
  /** `address:port` of the client. */
  readonly remote: string
  /** `address:port` where it connected to. */
  readonly local: string
  /** Whether the client has left already. */
  readonly isGone: boolean
  /** From now on the client is heard. Nothing of the body is read before. */
  readonly listen: (client: Client) => void
  readonly pause: () => void
  readonly resume: () => void
  /** A provisional answer: `100 Continue`, `103 Early Hints`. */
  readonly inform: (status: number, lines: Lines.Lines | undefined) => void
  /** Once. A status of 101 opens a tunnel: pieces in both directions, until the instance ends it or both have. */
  readonly answer: (head: AnswerHead) => void
  /** False: there is no room for more until `drained`. */
  readonly write: (bytes: Buffer) => boolean
  readonly end: (trailers: Fields.Fields | undefined) => void
  /** The answer can not go on: the client must not take what it has for a whole one. */
  readonly abort: () => void
}

/** Why an attempt has failed. */
export type Failure =
  /** No connection. `why` names no secrets. */
  | {
    readonly _tag: "NotConnected"
    readonly timedOut: boolean
    readonly why: string
    /** The same in Envoy's words, without blanks. */
    readonly transport?: string | undefined
  }
  /** The peer says that it has not looked at the request. */
  | { readonly _tag: "Refused" }
  /** The connection, or the stream, has ended. */
  | {
    readonly _tag: "Reset"
    readonly why: "connection" | "stream"
    /** It had been kept for another request, and ended instead of an answer: mostly just as the request was sent. */
    readonly wasKept?: boolean | undefined
  }
  /** What came is no HTTP. */
  | { readonly _tag: "Malformed"; readonly why: string }
  /** A limit of ours is reached. */
  | { readonly _tag: "Overflow" }

export interface RequestHead extends Lines.Lines {
  readonly method: string
  /** Path and query; of CONNECT, the authority. */
  readonly target: string
  readonly body: Body
  /** Whether it asks for another protocol: nothing else may be answered with 101. */
  readonly upgrades: boolean
}

/** A request on a connection to an instance. */
export interface Outbound {
  /** `address:port` of our side of the connection. */
  readonly local: string
  /** First, and once. With `body: "none"` nothing follows, not even `end`. */
  readonly send: (head: RequestHead) => void
  /** False: there is no room for more until `drained`. */
  readonly write: (bytes: Buffer) => boolean
  readonly end: (trailers: Fields.Fields | undefined) => void
  /** Pieces of the answer. */
  readonly pause: () => void
  readonly resume: () => void
  /** Nobody wants the answer any more. Nothing is heard after it. Does nothing when it is over. */
  readonly cancel: () => void
}

/** Hears how an attempt goes. Once `end` or `failed` was called, nothing follows. */
export interface Attempt extends Sink {
  /** There is a connection: `send` the request. */
  readonly connected: (outbound: Outbound) => void
  /** Provisional answers come before the one that counts; 101 counts, and opens a tunnel. */
  readonly answered: (head: Head.Answer) => void
  /** There is room for more of the request. */
  readonly drained: () => void
  readonly failed: (failure: Failure) => void
}

/** What waits for a connection. */
export interface Waiting {
  /** Nobody wants it any more. Does nothing once `connected` or `failed` was called. */
  readonly cancel: () => void
}

/** The connections to an instance. */
export interface Connections {
  readonly version: Version
  /** `address:port` of the instance. */
  readonly remote: string
  /** Calls `connected` or `failed`, at once or later. */
  readonly begin: (attempt: Attempt) => Waiting
}
