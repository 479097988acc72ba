/**
 * A leaf that is not renewed in time is the one way in which an outage of the control plane stops traffic: new handshakes
 * fail from then on. Said in the log before it happens and when it does.
 */
import { Clock, Effect, Stream } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as LeafCertificate from "../watch/LeafCertificate.ts"

/** The share of a leaf's lifetime after which it should have been renewed: Consul renews before 0.9 of it. */
const late = 0.95

/** Follows the leaf in force; each renewal starts over. */
export const warn = (leaves: Stream.Stream<LeafCertificate.Leaf>): Effect.Effect<void> =>
  Stream.runDrain(Stream.switchMap(leaves, (leaf) => Stream.fromEffect(watch(leaf))))

const watch = Effect.fnUntraced(function*(leaf: LeafCertificate.Leaf) {
  const { notAfter, notBefore } = leaf.certificate
  const lifetime = notAfter.getTime() - notBefore.getTime()
  const name = SpiffeId.display(leaf.identity)
  yield* sleepUntil(notBefore.getTime() + late * lifetime)
  if ((yield* Clock.currentTimeMillis) < notAfter.getTime()) {
    yield* Effect.logWarning(
      `the leaf certificate of ${name} expires at ${notAfter.toISOString()} and has not been renewed: ` +
        "new connections fail from then on. Check that the agent is reachable"
    )
    yield* sleepUntil(notAfter.getTime() + 1)
  }
  yield* Effect.logError(
    `the leaf certificate of ${name} has expired at ${notAfter.toISOString()}: ` +
      "peers refuse new connections until it is renewed. Check that the agent is reachable"
  )
}, (effect, { identity }) => Effect.annotateLogs(effect, "service", identity.service))

/** In steps, as timers of Node hold no more than 24 days. */
const sleepUntil = (time: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (;;) {
      const left = time - (yield* Clock.currentTimeMillis)
      if (left <= 0) return
      yield* Effect.sleep(Math.min(left, 86_400_000))
    }
  })
