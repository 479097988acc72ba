/**
 * A walk through a service mesh in a minute: brings up the mesh of `examples/quickstart` (three applications that do not
 * know it, their sidecars, the development agent), and shows and measures what a mesh is for.
 */
import { Clock, Console, Duration, Effect, Exit, Fiber, Ref, Schedule, Schema } from "effect"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as Decision from "../../intention/Decision.ts"
import { packageFolder } from "../packageFolder.ts"
import * as Mesh from "../up/Mesh.ts"
import { ask, CallFailed, closed, get, open } from "./client.ts"

const file = fileURLToPath(new URL("examples/quickstart/mesh.json", packageFolder))

/** Where the application web calls its upstreams, as mesh.json says. */
const apiPort = 9201
const billingPort = 9202

/** A step of the walk did not show what it should. */
export class StepFailed
  extends Schema.TaggedError<StepFailed>()("StepFailed", { step: Schema.String, why: Schema.String })
{
  override readonly message = `${this.step}: ${this.why}`
}

/** Runs a step, and prints what it showed and how long that took. */
const step = <R>(title: string, show: () => Effect.Effect<string, { readonly message: string }, R>) =>
  Effect.gen(function*() {
    const [took, shown] = yield* Effect.timed(Effect.suspend(show))
    yield* held(title, shown, took)
  }).pipe(
    Effect.mapError((error) => new StepFailed({ step: title, why: error.message }))
  )

const held = (title: string, shown: string, took: Duration.Duration) =>
  Console.log(`${title}\n   ✓ ${shown}   (${Math.round(Duration.toMillis(took))} ms)\n`)

const fail = (why: string) => Effect.fail(new CallFailed({ why }))

/** For changes that take a moment to spread. */
const soon = Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(3000)])

const within =
  (duration: "10 seconds" | "20 seconds", otherwise: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.timeoutOrElse(effect, { duration, orElse: () => fail(`after ${duration}, ${otherwise}`) })

const explain = (mesh: Mesh.Mesh, source: string, destination: string): string => {
  const of = (name: string) => mesh.sidecars.find(({ identity }) => identity.service === name)!
  return Decision.explain(of(destination).authorizer.latest()!.connection(of(source).identity))
}

const setIntention = (mesh: Mesh.Mesh, action: "allow" | "deny") =>
  mesh.consul.call("PUT /v1/config", (api) =>
    api.config.write({
      query: {},
      payload: { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: action }] }
    }))

const started = Effect.gen(function*() {
  const [took, mesh] = yield* Effect.timed(Mesh.make({ files: [file], agentPort: 0 }))
  const services = mesh.sidecars.map(({ identity, sidecar }) =>
    `${SpiffeId.format(identity)}, callers on port ${sidecar.status().registration.listen?.port}`
  )
  yield* held("1. Services are registered, have certificates, and their checks pass", services.join("\n     "), took)
  return mesh
})

const allowed = step(
  "2. web may call api: the request passes two sidecars, encrypted between them",
  () =>
    Effect.gen(function*() {
      const answer = yield* get(apiPort)
      if (answer !== "hello from api") return yield* fail(`api answered ${JSON.stringify(answer)}`)
      return `api answered "${answer}"`
    })
)

const denied = (mesh: Mesh.Mesh) =>
  step(
    "3. web may not call billing: the connection is closed before the application sees it",
    () =>
      Effect.gen(function*() {
        const answer = yield* Effect.option(get(billingPort))
        if (answer._tag === "Some") return yield* fail(`billing answered ${JSON.stringify(answer.value)}`)
        const why = explain(mesh, "web", "billing")
        return why.startsWith("denied") ? `web is ${why}` : yield* fail(`web is ${why}`)
      })
  )

const revoked = (mesh: Mesh.Mesh) =>
  step("4. web loses its right while a connection is open: the connection is cut", () =>
    Effect.gen(function*() {
      const socket = yield* open(apiPort)
      yield* ask(socket)
      const cut = yield* Effect.forkChild(closed(socket), { startImmediately: true })
      const start = yield* Clock.currentTimeMillis
      yield* setIntention(mesh, "deny")
      yield* Fiber.join(cut).pipe(within("10 seconds", "the connection was still open"))
      const millis = (yield* Clock.currentTimeMillis) - start
      yield* setIntention(mesh, "allow")
      yield* get(apiPort).pipe(Effect.retry(soon))
      return `cut ${Math.round(millis)} ms after the intention was changed, then allowed again`
    }))

const rotated = (mesh: Mesh.Mesh) =>
  step("5. The certificate authority is replaced while requests go on", () =>
    Effect.gen(function*() {
      const counts = yield* Ref.make({ answered: 0, failed: 0 })
      const traffic = yield* get(apiPort).pipe(
        Effect.exit,
        Effect.flatMap((exit) =>
          Ref.update(counts, (n) =>
            Exit.isSuccess(exit) ? { ...n, answered: n.answered + 1 } : { ...n, failed: n.failed + 1 })
        ),
        Effect.forever,
        Effect.forkChild
      )
      const serials = () =>
        mesh.sidecars.map(({ sidecar }) => sidecar.material().leaf.certificate.serial)
      const before = serials()
      const root = () => mesh.sidecars[0]?.sidecar.material().roots.roots.find(({ active }) => active)?.id
      const oldRoot = root()
      yield* mesh.agent!.running.rotateRoots
      yield* Effect.suspend(() =>
        root() !== oldRoot && serials().every((serial, i) => serial !== before[i])
          ? Effect.void
          : fail("not yet")
      ).pipe(
        Effect.retry(soon),
        within("20 seconds", "not every service had a certificate of the new authority")
      )
      yield* Effect.sleep("500 millis")
      yield* Fiber.interrupt(traffic)
      const { answered, failed } = yield* Ref.get(counts)
      return failed > 0 || answered === 0
        ? yield* fail(`${failed} of ${answered + failed} requests failed`)
        : `${answered} requests on new connections meanwhile, ${failed} failed`
    }))

const agentAway = (mesh: Mesh.Mesh) =>
  step("6. The agent stops: traffic goes on, and the policy still holds", () =>
    Effect.gen(function*() {
      yield* mesh.agent!.stop
      for (let i = 0; i < 20; i++) yield* get(apiPort)
      const answer = yield* Effect.option(get(billingPort))
      return answer._tag === "Some"
        ? yield* fail("billing answered")
        : "20 requests answered by api, billing still refuses web"
    }))

/** Fails at the first step that does not hold. `stay`: leaves the mesh up until it is interrupted. */
export const walk = Effect.fn("cli.demo")(function*({ stay }: { readonly stay: boolean }) {
  yield* Console.log("A service mesh on this machine: three applications, a sidecar for each, and an agent.\n")

  const mesh = yield* started
  const steps = Effect.gen(function*() {
    yield* allowed
    yield* denied(mesh)
    yield* revoked(mesh)
    yield* rotated(mesh)
    yield* agentAway(mesh)
  })
  yield* Effect.raceFirst(steps, mesh.ended)
  if (!stay) return yield* Console.log("Every step held.")

  yield* Console.log(
    "Every step held. The mesh stays up, without its agent. Try, in another terminal:\n" +
      `  curl localhost:${apiPort}              web's sidecar, api's sidecar, api\n` +
      "  curl localhost:9101/call/api     the application web calls api by itself\n" +
      `  curl localhost:${billingPort}              refused: no intention allows web to call billing\n` +
      "Ctrl-C stops everything. Then try the same mesh with an agent to talk to, and change who may call whom:\n" +
      `  npx effect-mesh up ${relative(process.cwd(), file) || file}`
  )
  return yield* mesh.ended
}, Effect.scoped)
