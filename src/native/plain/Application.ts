/** An application's server, as what hands requests and connections to it sees it. */

/** Announces something to the server. It is a server's `emit`, which may be another one by now. */
export type Announce = (event: string, ...details: ReadonlyArray<unknown>) => boolean

export interface Application {
  readonly announce: Announce
  /** Whether it has a listener for this event. */
  readonly expects: (event: string) => boolean
}
