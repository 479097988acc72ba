/**
 * Where requests go, asked and stated in tests:
 *
 * ```ts
 * const routes = Routes.read("mesh/")
 *
 * it("testers reach the new version", () => {
 *   const { taken } = Routes.explain(routes, "api", { path: "/orders", headers: { "x-tester": "yes" } })
 *   assert.deepStrictEqual(taken?.legs.map(({ leg }) => leg.to.targets[0].service), ["api-next"])
 * })
 *
 * it.prop("only /admin reaches the back office", ...Routes.law(routes, "api", (explanation) =>
 *   Routes.services(explanation).includes("back-office") && !explanation.request.path.startsWith("/admin")
 *     ? "reaches the back office"
 *     : undefined))
 * ```
 *
 * The chains are compiled as agents do, and read as the proxies do.
 */
import { Arbitrary, Result, type Schema } from "effect"
import * as ChainsOf from "../agent/chain/ChainsOf.ts"
import * as MeshFile from "../cli/up/MeshFile.ts"
import * as HttpRequest from "../intention/HttpRequest.ts"
import * as HttpRoutes from "../route/HttpRoutes.ts"
import * as RouteExplanation from "../route/RouteExplanation.ts"
import * as Folder from "../policy/source/Folder.ts"
import * as Arbitraries from "./Arbitraries.ts"

/** The routes of each service. Throws where they can not be compiled. */
export type Routes = (service: string) => HttpRoutes.HttpRoutes

/** What is left out: `GET`, `/`, no headers. */
export interface Request {
  readonly method?: string
  /** With its query. */
  readonly path?: string
  /** A list stands for several lines. */
  readonly headers?: { readonly [name: string]: string | ReadonlyArray<string> }
}

/** From config entries as `consul config write` takes them. Throws with what an agent would refuse. */
export const fromEntries = (entries: ReadonlyArray<object>): Routes => {
  const chains = ChainsOf.make(entries.map((entry) => JSON.parse(JSON.stringify(entry)) as Schema.JsonObject))
  if (Result.isFailure(chains)) throw new Error(`an agent would refuse these entries:\n${chains.failure}`)
  const known = new Map<string, HttpRoutes.HttpRoutes>()
  return (service) => {
    const present = known.get(service)
    if (present !== undefined) return present
    const routes = Result.flatMap(chains.success(service), HttpRoutes.compile)
    if (Result.isFailure(routes)) throw new Error(`the routes of ${service}: ${routes.failure}`)
    known.set(service, routes.success)
    return routes.success
  }
}

/** From files and folders of config entries, and files of meshes. Throws with every problem and its place. */
export const read = (paths: string | ReadonlyArray<string>): Routes =>
  fromEntries((typeof paths === "string" ? [paths] : paths).flatMap((path) => {
    const { missing, sources } = Result.getOrThrowWith(Folder.read(path), (why) => new Error(why))
    if (missing.length > 0) throw new Error(`not everything can be read:\n${missing.join("\n")}`)
    return sources.flatMap(({ file, text }) => Result.getOrThrow(MeshFile.parse(file, text)).configEntries)
  }))

/** Which route a request takes, and why. */
export const explain = (
  routes: Routes,
  service: string,
  { headers = {}, method = "GET", path = "/" }: Request
): RouteExplanation.RouteExplanation => RouteExplanation.make(routes(service), HttpRequest.make(method, path, headers))

/** The names of all services that such a request may reach, failover included. */
export const services = ({ taken }: RouteExplanation.RouteExplanation): ReadonlyArray<string> => [
  ...new Set(taken?.legs.flatMap(({ leg }) => leg.to.targets.map(({ service }) => service)) ?? [])
]

/** What `it.prop` takes after the name. */
export type Law = readonly [
  { readonly request: Arbitrary.Arbitrary<Drawn> },
  (input: { readonly request: Drawn }) => void
]

/** A request as a failing test prints it. */
export type Drawn = Required<Request>

/** What must hold of every request for a service: `judge` answers with a sentence about what is wrong, or nothing. */
export const law = (
  routes: Routes,
  service: string,
  judge: (explanation: RouteExplanation.RouteExplanation) => string | undefined
): Law => [
  { request: requests(routes, service) },
  ({ request }) => {
    const explanation = explain(routes, service, request)
    const wrong = judge(explanation)
    if (wrong !== undefined) {
      throw new Error(
        `${request.method} ${request.path} for ${service} ${wrong}:\n${RouteExplanation.format(explanation)}`
      )
    }
  }
]

/** Requests that the routes of a service tell apart: with what they look at, nearly that, and nothing of it. */
export const requests = (routes: Routes, service: string): Arbitrary.Arbitrary<Drawn> => {
  const samples = routes(service).routes.flatMap(({ conditions }) => conditions.flatMap(({ sample }) => sample ?? []))
  const values = (of: "path" | "method") => samples.flatMap((sample) => sample.of === of ? [sample.value] : [])
  const named = (of: "header" | "parameter") =>
    samples.flatMap((sample) =>
      sample.of === of ? near(sample.value).map((value) => [sample.name, value] as const) : []
    )
  const paths = distinct(["/", ...values("path").flatMap((path) => near(path).filter((near) => near.startsWith("/")))])
  const some = (pairs: ReadonlyArray<readonly [name: string, value: string]>) =>
    pairs.length === 0
      ? Arbitrary.map(Arbitraries.oneOf([0]), () => none)
      : Arbitrary.array(Arbitraries.oneOf(pairs), { maxLength: 3 })
  return Arbitrary.map(
    Arbitrary.all({
      method: Arbitraries.oneOf(distinct(["GET", "POST", "DELETE", ...values("method")])),
      path: Arbitraries.oneOf(paths),
      headers: some(named("header")),
      parameters: some(named("parameter"))
    }),
    ({ headers, method, parameters, path }) => ({
      method,
      path: parameters.length === 0
        ? path
        : `${path}?${parameters.map(([name, value]) => `${name}=${value}`).join("&")}`,
      headers: Object.fromEntries(headers)
    })
  )
}

const none: ReadonlyArray<readonly [name: string, value: string]> = []

/** Texts hold one character for each byte; requests are written as text. */
const near = (bytes: string): ReadonlyArray<string> => {
  const text = Buffer.from(bytes, "latin1").toString("utf8")
  return distinct([text, `${text}x`, `${text}/x`, text.slice(0, -1), text.toUpperCase()]).filter((near) => near !== "")
}

const distinct = (texts: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(texts)]
