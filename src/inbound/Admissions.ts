/**
 * What was admitted and is still open: connections and requests alike. All of it is judged again whenever the answer may
 * have changed, and what is refused by then is ended, once.
 *
 *     admitted ─▶ open ─▶ judged again ─┬─▶ open
 *                  │                    └─▶ ended
 *                  └─▶ left by itself
 *
 * Nothing here waits or writes: `judge` returns what there is to log.
 */
import * as Decision from "../intention/Decision.ts"

/** What was ended for one reason. */
export interface Ended<out A> {
  /** Whose, and why: `web (denied by intention web → api (precedence 9))`. */
  readonly line: string
  readonly all: readonly [A, ...ReadonlyArray<A>]
}

/** `V` is the verdict that something was admitted by: later ones may need what is in it. */
export interface Admissions<in out A, in out V extends object> {
  /** What is open now. */
  readonly size: () => number
  /** How many were admitted so far. */
  readonly admitted: () => number
  /** How many of them were ended because they were refused later. */
  readonly ended: () => number
  /** From now on it is judged again, until it leaves or is ended. */
  readonly admit: (one: A, verdict: V) => void
  /** Another verdict on something that is open; nothing otherwise. */
  readonly amend: (one: A, verdict: V) => void
  /** It is over. */
  readonly leave: (one: A) => void
  readonly has: (one: A) => boolean
  readonly open: () => Iterable<readonly [A, V]>
  /**
   * Ends what is open and refused, and returns it, a group for each line. `decide` returns undefined where it can not tell
   * yet: that stays open. `among`: nothing else is judged.
   */
  readonly judge: (
    decide: (one: A, verdict: V) => Decision.Decision | undefined,
    among?: Iterable<A>
  ) => ReadonlyArray<Ended<A>>
}

export interface Options<in A> {
  /** Whose it is, as the log has it. */
  readonly nameOf: (one: A) => string
  /** Called once at most for each. */
  readonly end: (one: A) => void
}

export const make = <A, V extends object>({ end, nameOf }: Options<A>): Admissions<A, V> => {
  const open = new Map<A, V>()
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
