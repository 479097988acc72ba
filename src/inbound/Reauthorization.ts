/**
 * The registry of what was admitted and is still open: connections and requests alike. A change of policy judges all of
 * it again, and ends what it refuses, once.
 *
 *     admitted ─▶ open ─▶ judged again ─┬─▶ open
 *                  │                    └─▶ ended
 *                  └─▶ left by itself
 *
 * Nothing here waits or writes: `judge` returns what there is to log.
 */
import * as Decision from "../intention/Decision.ts"
import * as Turnover from "../net/Turnover.ts"

/** Things of one caller that ended for one reason. */
export interface Ended<out A> {
  /** The caller, and the reason: `web (denied by intention web → api (precedence 9))`. */
  readonly line: string
  readonly all: readonly [A, ...ReadonlyArray<A>]
}

/** `V` is the verdict that admitted a thing. It holds what later verdicts need. */
export interface Reauthorization<in out A, in out V extends object> {
  /** How many are open. */
  readonly size: () => number
  /** How many were admitted so far. */
  readonly admitted: () => number
  /** How many of them were ended by a later verdict. */
  readonly ended: () => number
  /** From now on `judge` sees it, until it leaves or ends. */
  readonly admit: (one: A, verdict: V) => void
  /** Replaces the verdict, if it is still open. */
  readonly amend: (one: A, verdict: V) => void
  /** It closed by itself. */
  readonly leave: (one: A) => void
  readonly has: (one: A) => boolean
  readonly open: () => Iterable<readonly [A, V]>
  /**
   * Ends what `decide` refuses, and returns it in groups, one for each line of the log. Where `decide` returns undefined,
   * the verdict is pending, and the thing stays open. `among` limits the round to these; default: all that is open.
   */
  readonly judge: (
    decide: (one: A, verdict: V) => Decision.Decision | undefined,
    among?: Iterable<A>
  ) => ReadonlyArray<Ended<A>>
}

export interface Options<in A> {
  /** The caller's name in the log. */
  readonly nameOf: (one: A) => string
  /** Called at most once for each. */
  readonly end: (one: A) => void
}

export const make = <A, V extends object>({ end, nameOf }: Options<A>): Reauthorization<A, V> => {
  const open = new Turnover.TurnoverMap<A, V>()
  let admitted = 0
  let ended = 0
  return {
    size: () => open.size,
    admitted: () => admitted,
    ended: () => ended,
    admit: (one, verdict) => {
      open.set(one, verdict)
      admitted++
    },
    amend: (one, verdict) => {
      if (open.has(one)) open.set(one, verdict)
    },
    leave: (one) => void open.delete(one),
    has: (one) => open.has(one),
    open: () => open,
    judge: (decide, among = open.keys()) => {
      const groups = new Map<string, { readonly line: string; readonly all: [A, ...Array<A>] }>()
      for (const one of among) {
        const verdict = open.get(one)
        if (verdict === undefined) continue
        const decision = decide(one, verdict)
        if (decision === undefined || decision.allowed || !open.delete(one)) continue
        ended++
        end(one)
        const line = `${nameOf(one)} (${Decision.explain(decision)})`
        const group = groups.get(line)
        if (group === undefined) groups.set(line, { line, all: [one] })
        else group.all.push(one)
      }
      return [...groups.values()]
    }
  }
}
