/**
 * The intentions of many destinations, heard through few blocking queries: one query may name many of them, and returns
 * when there is news for any.
 *
 *     each destination: ask alone ─▶ join a group ─▶ hear what is new for it ─▶ …
 *                           ▲                │ the question of the group has failed
 *                           └────────────────┘
 *
 * It asks alone first, because an agent refuses a question as a whole where the token may not read one of its names: so
 * none is ever in the way of the others.
 */
import { Clock, Duration, Effect, Equal, Latch, Queue, Result, type Scope, Semaphore, Stream } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as CompleteAnswer from "../consul/CompleteAnswer.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as DefaultPolicy from "../consul/DefaultPolicy.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import type * as Intention from "../intention/Intention.ts"

/** What holds for callers of one destination. */
export interface Policy {
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly defaultPolicy: Authorizer.DefaultPolicy
}

export interface IntentionMatches {
  /**
   * A blocking query for one destination, for as long as the scope is open. Without a default policy, it is the one that the
   * agent is configured with.
   */
  readonly of: (
    destination: string,
    defaultPolicy: Authorizer.DefaultPolicy | undefined
  ) => Effect.Effect<BlockingQuery.Query<Policy, bigint>, never, Scope.Scope>
}

/** Names that share a question while there are few questions: an answer repeats what is known of all of them. */
const groupSize = 16

/** Questions that are held at once. Beyond, groups grow. */
const maxGroups = 16

/** How long a group waits for others to join, before it asks again. */
const gathering = "20 millis"

interface Member {
  readonly destination: string
  /** Undefined: as the agent is configured. */
  readonly defaultPolicy: Authorizer.DefaultPolicy | undefined
  /** The latest that has not been taken. Undefined: ask alone. */
  readonly mailbox: Queue.Queue<Policy | undefined>
  /** What the agent was configured with when it was last asked. */
  configured: Authorizer.DefaultPolicy | undefined
  heard: Policy | undefined
  heardAt: number
  group: Group | undefined
}

interface Group {
  readonly members: Set<Member>
  /** The members that the present question names. */
  asked: Set<Member>
  /** Open: a member came, or the last one left. */
  readonly changed: Latch.Latch
}

/** One for each client. */
export const shared = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<IntentionMatches, never, Scope.Scope> => consul.share("intention matches", make(consul))

const make = Effect.fnUntraced(function*(
  consul: ConsulClient.ConsulClient["Service"]
): Effect.fn.Return<IntentionMatches, never, Scope.Scope> {
  const policy = yield* BlockingQuery.Policy
  const configured = yield* rememberedDefault(consul)
  const warnOfUnknown = warningOnce()
  const groups = makeGroups(yield* Effect.scope, (group) => follow(consul, policy, group, configured.forget))

  /** In no group meanwhile, whose answer could be older. */
  const alone = (member: Member) =>
    Effect.gen(function*() {
      yield* groups.leave(member)
      yield* Queue.clear(member.mailbox)
      const name = nameOf([member.destination])
      const answer = yield* consul.hold(
        name,
        "vital",
        nothing,
        (api, known) => match(api, [member.destination], ConsulClient.blocking(known))
      ).pipe(Effect.tap((answer) => CompleteAnswer.body(name, right, answer)))
      if (member.defaultPolicy === undefined) {
        member.configured = yield* configured.get
        yield* warnOfUnknown(member.configured, answer)
      }
      const policy = policyOf(member, answer.body)
      member.heard = policy
      member.heardAt = yield* Clock.currentTimeMillis
      return { value: policy, cursor: answer.headers["x-consul-index"] === undefined ? undefined : followed }
    }).pipe(Effect.tapError(() => configured.forget))

  return {
    of: (destination, defaultPolicy) =>
      Effect.gen(function*() {
        const mailbox = yield* Queue.sliding<Policy | undefined>(1)
        const member: Member = {
          destination,
          defaultPolicy,
          mailbox,
          configured: undefined,
          heard: undefined,
          heardAt: 0,
          group: undefined
        }
        yield* Effect.addFinalizer(() => groups.leave(member))
        const next = Effect.andThen(groups.join(member), Queue.take(mailbox))
        return ({ cursor }) =>
          cursor === undefined
            ? alone(member)
            : Effect.flatMap(
              next,
              (value) => value === undefined ? alone(member) : Effect.succeed({ value, cursor: followed })
            )
      })
  }
})

/** The groups, each with a fiber in `scope` that asks for its members. `follow` ends when its question has failed. */
const makeGroups = (scope: Scope.Scope, follow: (group: Group) => Effect.Effect<void>) => {
  const groups = new Set<Group>()

  const run = (group: Group): Effect.Effect<void> =>
    Effect.gen(function*() {
      let going = true
      while (going) {
        yield* Effect.sleep(gathering)
        yield* Latch.close(group.changed)
        going = yield* Effect.raceFirst(
          Effect.as(follow(group), false),
          Effect.map(Latch.await(group.changed), () => group.members.size > 0)
        )
      }
      groups.delete(group)
      for (const member of group.members) {
        member.group = undefined
        Queue.offerUnsafe(member.mailbox, undefined)
      }
    })

  const smallest = () =>
    [...groups].reduce<Group | undefined>(
      (least, group) => least === undefined || group.members.size < least.members.size ? group : least,
      undefined
    )

  return {
    join: (member: Member) =>
      Effect.suspend(() => {
        if (member.group !== undefined) return Effect.void
        const present = smallest()
        if (present !== undefined && (present.members.size < groupSize || groups.size >= maxGroups)) {
          member.group = present
          present.members.add(member)
          return Effect.asVoid(Latch.open(present.changed))
        }
        const group: Group = { members: new Set([member]), asked: new Set(), changed: Latch.makeUnsafe() }
        member.group = group
        groups.add(group)
        return Effect.asVoid(Effect.forkIn(run(group), scope))
      }),
    leave: (member: Member) =>
      Effect.suspend(() => {
        const { group } = member
        member.group = undefined
        group?.asked.delete(member)
        group?.members.delete(member)
        // With others in it, its name stays in the question until that is asked again.
        return group?.members.size === 0 ? Effect.asVoid(Latch.open(group.changed)) : Effect.void
      })
  }
}

/** Asks for a group until that fails: each member then finds out alone which of them the failure is about. */
const follow = (
  consul: ConsulClient.ConsulClient["Service"],
  policy: BlockingQuery.Policy,
  group: Group,
  failed: Effect.Effect<void>
) =>
  Effect.suspend(() => {
    group.asked = new Set(group.members)
    const names = [...new Set(Array.from(group.asked, (member) => member.destination))]
    const nothingNewFor = Duration.toMillis(policy.grace) / 2
    return ApiWatch.byIndex(consul, {
      name: nameOf(names),
      sharing: "vital",
      request: (api, blocking) => match(api, names, blocking),
      right,
      decode: Result.succeed
    }).pipe(
      // As often as if each of them asked for itself.
      Stream.provideService(BlockingQuery.Policy, {
        ...policy,
        burst: policy.burst * names.length,
        interval: Duration.divideUnsafe(Duration.fromInputUnsafe(policy.interval), names.length)
      }),
      Stream.takeUntil(({ _tag }) => _tag === "Failure"),
      Stream.runForEach((seen) => seen._tag === "Answer" ? tell(group, seen.value, nothingNewFor) : failed)
    )
  })

/** What is new for each member; and, after so many milliseconds, that there is nothing. */
const tell = (group: Group, matches: Matches["body"], nothingNewFor: number) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const member of group.asked) {
      const policy = policyOf(member, matches)
      if (now - member.heardAt < nothingNewFor && Equal.equals(policy, member.heard)) continue
      member.heard = policy
      member.heardAt = now
      Queue.offerUnsafe(member.mailbox, policy)
    }
  })

/**
 * An unknown default policy is taken to be deny. Mostly that is what holds; where the ACL system allows by default, callers
 * may be refused here that are let in elsewhere.
 */
const warningOnce = () => {
  let warned = false
  return (configured: Authorizer.DefaultPolicy | undefined, { headers }: Matches) =>
    Effect.suspend(() => {
      if (warned || configured !== undefined || headers["x-consul-default-acl-policy"] !== "allow") return Effect.void
      warned = true
      return Effect.logWarning(
        "the default policy of intentions is not known, as the token may not read the agent: callers for whom there is no " +
          "intention are refused. Give the token agent:read, or say --default-policy"
      )
    })
}

/** The index is the group's; to a member it says only that something is known. */
const followed = 1n

const right = "intentions:read"

type Matches = Effect.Success<ReturnType<typeof match>>

const policyOf = ({ configured, defaultPolicy, destination }: Member, matches: Matches["body"]): Policy => ({
  intentions: matches[destination] ?? [],
  defaultPolicy: defaultPolicy ?? configured ?? "deny"
})

const nothing: ConsulClient.Known<bigint> = { cursor: undefined, wait: "0s" }

const match = (api: ConsulClient.Api, names: ReadonlyArray<string>, blocking: ApiWatch.Blocking) =>
  api.connect.matchIntentions({ query: { by: "destination", name: names, ...blocking } })

const nameOf = ([first, ...others]: ReadonlyArray<string>): string =>
  `GET /v1/connect/intentions/match?by=destination&name=${first}${
    others.length === 0 ? "" : ` and ${others.length} other names`
  }`

/**
 * Asked once: it changes only when an agent restarts, and then a question fails. Where the token has lost the right to ask
 * meanwhile, what the agent said last stays in force.
 */
const rememberedDefault = Effect.fnUntraced(function*(consul: ConsulClient.ConsulClient["Service"]) {
  const oneAtATime = yield* Semaphore.make(1)
  let known: { readonly value: Authorizer.DefaultPolicy | undefined } | undefined
  let last: Authorizer.DefaultPolicy | undefined
  return {
    get: Semaphore.withPermit(
      oneAtATime,
      Effect.suspend(() =>
        known === undefined
          ? Effect.map(DefaultPolicy.ask(consul), (value) => {
            last = value ?? last
            known = { value: last }
            return last
          })
          : Effect.succeed(known.value)
      )
    ),
    forget: Effect.sync(() => {
      known = undefined
    })
  }
})
