/** A request of a caller of the mesh, and the verdict on it. */
import type * as Connection from "../Connection.ts"
import * as HttpExchange from "../../http/HttpExchange.ts"
import type * as RequestAdmission from "./RequestAdmission.ts"

/** A request at hand, as far as it is judged. */
export interface Judged {
  readonly connection: Connection.Connection
  /** The decision about it, once there is one. */
  concluded: RequestAdmission.Concluded | undefined
  /** The status of a refusal. */
  refusal: number | undefined
  readonly over: boolean
  readonly abort: () => void
}

export type Exchange = HttpExchange.Exchange<Connection.Connection, RequestAdmission.Concluded>
export type Handlers = HttpExchange.Handlers<Exchange>

/** What a request belongs to, where an `HttpListener` took it. */
export const of = (request: HttpExchange.Incoming): Exchange | undefined =>
  HttpExchange.exchangeOf<Connection.Connection, RequestAdmission.Concluded>(request)
