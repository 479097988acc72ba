/** Whether the sidecars of a process can serve, and what is in the way. */
import type * as Watched from "../watch/Watched.ts"
import type * as Documents from "./Documents.ts"
import type * as Fleet from "./Fleet.ts"

/** `now` in milliseconds. Ready is a process that has sidecars, all of which can serve. */
export const readiness = (
  members: ReadonlyArray<Fleet.Member>,
  watches: ReadonlyArray<Watched.Followed>,
  now: number
): Documents.Readiness => {
  const sidecars = members.map((member) => {
    const problems = problemsOf(member, watches, now)
    return { name: member.name, ready: problems.length === 0, problems }
  })
  return { ready: sidecars.length > 0 && sidecars.every(({ ready }) => ready), sidecars }
}

const problemsOf = (
  { sidecar, why }: Fleet.Member,
  watches: ReadonlyArray<Watched.Followed>,
  now: number
): ReadonlyArray<string> =>
  sidecar === undefined
    ? why === undefined ? [`it starts${awaited(watches)}; the log says more`] : [why]
    : problems(sidecar, now)

/** What has not arrived, and why. */
const awaited = (watches: ReadonlyArray<Watched.Followed>): string => {
  const missing = watches.flatMap(({ freshness, what }) => {
    const { answeredAt, lastError } = freshness()
    return answeredAt === undefined && lastError !== undefined ? [`, without ${what}: ${lastError}`] : []
  })
  return missing[0] ?? ""
}

/** Nothing that passes unnoticed: an agent that is away changes nothing for traffic, and an expired leaf does. */
export const problems = (sidecar: Fleet.Running, now: number): ReadonlyArray<string> => {
  const { listeners, movedTo, phase, registration } = sidecar.status()
  const certificate = sidecar.material?.().leaf.certificate
  return [
    ...(phase === "serving" ? [] : ["it leaves: no new callers, please"]),
    ...(movedTo === undefined ? [] : [
      `${registration.proxyId} is registered as the proxy of ${movedTo} now: start it again, or register it as that of ` +
      registration.service
    ]),
    ...listeners.flatMap(({ name, state }) =>
      state._tag === "Failed" ? [`${name}: ${state.message}`] : state._tag === "Starting" ? [`${name}: it starts`] : []
    ),
    ...(certificate === undefined || certificate.notAfter.getTime() > now ? [] : [
      `the leaf certificate has expired at ${certificate.notAfter.toISOString()}: no handshake succeeds until the agent has a new one`
    ])
  ]
}
