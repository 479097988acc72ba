/** What sidecars know of themselves, as documents. Nothing here waits; secrets are never read. */
import { Schema } from "effect"
import type * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import * as Intention from "../intention/Intention.ts"
import * as Source from "../intention/Source.ts"
import * as Listening from "../net/Listening.ts"
import type * as DestinationStatus from "../outbound/DestinationStatus.ts"
import type * as HttpRoutes from "../route/HttpRoutes.ts"
import type * as Listener from "../sidecar/Listener.ts"
import type * as Sidecar from "../sidecar/Sidecar.ts"
import type * as Watched from "../watch/Watched.ts"
import type * as Documents from "./Documents.ts"
import type * as Fleet from "./Fleet.ts"

/** A sidecar that runs, and what every list says of it. */
export interface Running {
  readonly head: { readonly name: string; readonly proxy: string; readonly service: string }
  readonly sidecar: Fleet.Running
  readonly status: Fleet.Status
}

export const running = (members: ReadonlyArray<Fleet.Member>): ReadonlyArray<Running> =>
  members.flatMap(({ name, sidecar }) => {
    if (sidecar === undefined) return []
    const status = sidecar.status()
    return [{
      head: { name, proxy: status.registration.proxyId, service: status.registration.service },
      sidecar,
      status
    }]
  })

/** Whether it is called so. */
export const isNamed = ({ head: { name, proxy, service } }: Running, text: string): boolean =>
  [name, proxy, service].includes(text)

/** `now` in milliseconds. */
export const certificates = (all: ReadonlyArray<Running>, now: number): typeof Documents.Certificates.Type => ({
  sidecars: all.map(({ head, sidecar }) => {
    const material = sidecar.material?.()
    if (material === undefined) return { ...head, identity: null, trustDomain: null, leaf: null, roots: [] }
    const { leaf, roots } = material
    return {
      ...head,
      identity: SpiffeId.format(leaf.identity),
      trustDomain: roots.trustDomain,
      leaf: certificate(leaf.certificate, now),
      roots: roots.roots.map((root) => ({
        id: root.id,
        name: root.name,
        active: root.active,
        certificate: certificate(root.certificate, now)
      }))
    }
  })
})

export const certificate = (
  { key, notAfter, notBefore, serial, subject }: Certificate.Certificate,
  now: number
): Documents.Certificate => ({
  subject,
  serial,
  notBefore: notBefore.toISOString(),
  notAfter: notAfter.toISOString(),
  secondsLeft: Math.round((notAfter.getTime() - now) / 1000),
  key: key._tag === "Ec" ? `EC ${key.curve}` : key._tag === "Rsa" ? `RSA ${key.bits}` : key.name
})

export const intentions = (all: ReadonlyArray<Running>): typeof Documents.Intentions.Type => ({
  sidecars: all.flatMap(({ head, sidecar, status }) => {
    const authorizer = sidecar.authorizer?.latest()
    return authorizer === undefined ? [] : [{ ...head, ...policy(authorizer), refusals: refusals(status) }]
  })
})

const encodeIntention = Schema.encodeSync(Schema.toCodecJson(Intention.Intention))

const policy = (
  { audited = false, defaultPolicy, destination, http, intentions, warnings }: Authorizer.Authorizer
) => ({
  protocol: destination.protocol,
  byRequest: http,
  defaultPolicy,
  audited,
  intentions: intentions.map((each) => {
    const { action, destination, precedence, source } = Source.rule(each)
    return { source, destination, precedence, action, intention: encodeIntention(each) }
  }),
  warnings: warnings.map(({ message }) => message)
})

/** Most frequent first. */
export const refusals = ({ listeners }: Fleet.Status): ReadonlyArray<typeof Documents.Refusal.Type> =>
  listeners.flatMap(({ details }) => details.denials()).toSorted((a, b) => b.refusals - a.refusals)

/** At most `limit` of each sidecar, as they were opened. */
export const connections = (
  all: ReadonlyArray<Running>,
  limit: number,
  now: number
): typeof Documents.Connections.Type => ({
  sidecars: all.map(({ head, status: { listeners } }) => {
    let open = 0
    const connections: Array<typeof Documents.Connection.Type> = []
    for (const { details, direction, name } of listeners) {
      for (const each of details.connections()) {
        open++
        if (connections.length < limit) connections.push({ direction, listener: name, ...connection(each, now) })
      }
    }
    return { ...head, open, connections }
  })
})

const connection = (
  { decision, openedAt, peer, received, remote, sent, to }: Listener.OpenConnection,
  now: number
) => ({
  remote,
  peer: peer === undefined ? null : SpiffeId.format(peer),
  to: to ?? null,
  because: decision === undefined ? null : Decision.explain(decision),
  openedAt: new Date(openedAt).toISOString(),
  seconds: Math.max(0, Math.round(now - openedAt) / 1000),
  sent,
  received
})

export const upstreams = (all: ReadonlyArray<Running>): typeof Documents.Upstreams.Type => ({
  sidecars: all.map(({ head, status }) => ({
    ...head,
    upstreams: upstreamsOf(status).map(([one, way]) => upstream(one, way))
  }))
})

/** Listeners that lead to a service, and where. */
export const upstreamsOf = (
  { listeners }: Fleet.Status
): ReadonlyArray<readonly [Sidecar.ListenerStatus, Listener.UpstreamDetails | undefined]> =>
  listeners.filter(({ direction }) => direction === "outbound").map((one) => [one, one.details.upstream])

export const listener = ({ address, name, state }: Sidecar.ListenerStatus) => ({
  listener: name,
  address,
  state: state._tag,
  message: state._tag === "Failed" ? state.message : null
})

const upstream = (
  one: Sidecar.ListenerStatus,
  way: Listener.UpstreamDetails | undefined
): typeof Documents.Upstream.Type => {
  const { accepted, failed, open, received, sent } = one.counts
  return {
    ...listener(one),
    service: one.service,
    protocol: way?.protocol() ?? "tcp",
    open,
    accepted,
    failed,
    sent,
    received,
    targets: way?.targets()?.map(target) ?? null
  }
}

const target = ({ instances, target }: DestinationStatus.TargetStatus): typeof Documents.Target.Type => ({
  id: target.id,
  service: target.service,
  datacenter: target.datacenter,
  filter: target.filter,
  instances: instances?.map(({ active, address, ejected, id, service, unhealthy, weight }) => ({
    id,
    address,
    service,
    healthy: weight > 0,
    unhealthy: unhealthy ?? null,
    weight,
    ejected,
    active
  })) ?? null
})

export const routes = (all: ReadonlyArray<Running>): typeof Documents.Routes.Type => ({
  sidecars: all.map(({ head, status }) => ({
    ...head,
    upstreams: upstreamsOf(status).map(([{ name, service }, way]) => ({
      listener: name,
      service,
      protocol: way?.protocol() ?? "tcp",
      routes: way?.routes()?.routes.map(route) ?? null,
      targets: way?.targets()?.map(({ target }) => target.id) ?? []
    }))
  }))
})

const route = (
  { conditions, idleTimeoutMillis, legs, position, requestTimeoutMillis, retry, written }: HttpRoutes.Route
): typeof Documents.Route.Type => {
  const sum = legs.reduce((sum, { weight }) => sum + weight, 0)
  return {
    route: position + 1,
    written,
    conditions: conditions.map(({ says }) => says),
    requestTimeoutMillis: requestTimeoutMillis ?? null,
    idleTimeoutMillis: idleTimeoutMillis ?? null,
    retries: retry === undefined
      ? null
      : { times: retry.times, on: [...retry.on, ...Array.from(retry.onStatus, String)] },
    legs: legs.map(({ to, weight }) => ({
      share: sum === 0 ? 0 : weight / sum,
      targets: to.targets.map(({ id }) => id)
    }))
  }
}

export const watches = (
  all: ReadonlyArray<Watched.Followed>,
  now: number
): typeof Documents.Watches.Type => ({
  watches: all.map(({ freshness, subject, watch, what }): Documents.Watch => {
    const { answeredAt, failures, lastError } = freshness()
    return {
      what,
      watch,
      subject,
      current: failures === 0 && answeredAt !== undefined,
      answeredAt: answeredAt === undefined ? null : new Date(answeredAt).toISOString(),
      secondsSinceAnswer: answeredAt === undefined ? null : Math.max(0, Math.round((now - answeredAt) / 1000)),
      failures,
      lastError: lastError ?? null
    }
  })
})

export const registrations = (all: ReadonlyArray<Running>): (typeof Documents.Configuration.Type)["sidecars"] =>
  all.map(({ head, status: { movedTo, registration } }) => {
    const { application, ignored, listen, ...rest } = registration
    return {
      ...head,
      movedTo: movedTo ?? null,
      registration: json({
        ...rest,
        ...(application === undefined ? {} : { application: Listening.format(application) }),
        ...(listen === undefined ? {} : { listen: Listening.format(listen) })
      }),
      ignored
    }
  })

/** Plain data, without what is absent. */
const json = (value: unknown): Schema.Json => JSON.parse(JSON.stringify(value)) as Schema.Json
