/** The ports of this machine: the application's, those of the sidecar, and whether it is the sidecar that has them. */
import * as Net from "node:net"
import { Effect, Result } from "effect"
import * as Connect from "../../outbound/Connect.ts"
import * as Listening from "../../net/Listening.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Application from "../../sidecar/Application.ts"
import * as Finding from "./Finding.ts"

export interface Options {
  readonly registration: ProxyRegistration.Registration
  /** Undefined: no handshake can be made. */
  readonly material: SecureContexts.Material | undefined
  readonly millis: number
  /** Whether the sidecar is expected to run: one that flags describe may be about to be started. */
  readonly isRegistered: boolean
}

export const check = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<ReadonlyArray<Finding.Finding>> {
  const { registration } = options
  const publicPort = registration.listen === undefined ? undefined : yield* ofPublic(options, registration.listen)
  const runs = publicPort === undefined ? undefined : publicPort.runs
  const start = `Start the sidecar: effect-mesh proxy ${
    options.isRegistered ? `--proxy-id ${registration.proxyId}` : "with these flags"
  }`
  const own = (what: string) => (bind: Listening.Bind) =>
    Effect.map(isFree(bind), (free): Finding.Finding => {
      const where = `${Listening.format(bind)}, ${what}`
      if (free === "taken") {
        return runs === false
          ? Finding.broken(
            `${where}, is taken, and not by the sidecar`,
            "End the program that has it, or choose another port"
          )
          : Finding.good(`somebody listens at ${where}`)
      }
      if (free === "free") {
        return runs === true
          ? Finding.broken(`nobody listens at ${where}, though the sidecar runs`, "Look at the log of the sidecar")
          : options.isRegistered
          ? Finding.broken(`nobody listens at ${where}`, start)
          : Finding.good(`${where}, is free`)
      }
      return Finding.broken(
        `cannot listen at ${where}: ${free}`,
        "Choose an address of this machine, and a port above 1023"
      )
    })
  return [
    ...(publicPort === undefined ? [] : [publicPort.finding(start), yield* ofApplication(options)]),
    ...(yield* Effect.forEach(registration.exposed, ({ listen, path }) => own(`where ${path} is exposed`)(listen))),
    ...(yield* Effect.forEach(
      registration.upstreams,
      ({ bind, id }) => own(`where the upstream ${id} is called`)(bind)
    ))
  ]
})

/** Who answers there: the sidecar, another program, or nobody. */
const ofPublic = Effect.fnUntraced(function*(options: Options, listen: ProxyRegistration.Listen) {
  const { isRegistered, material, millis } = options
  const where = Listening.format(listen)
  const address = {
    ...listen,
    host: listen.host === "0.0.0.0" ? "127.0.0.1" : listen.host === "::" ? "::1" : listen.host
  }
  const remedy =
    "If it is the sidecar, look at its log; if it is another program, end it, or register the proxy with another port"
  if (material === undefined) {
    return {
      runs: undefined,
      finding: () => Finding.unknown(`${where}: without a certificate nobody can be asked who is there`)
    }
  }
  const answer = yield* Effect.scoped(Effect.result(Connect.scoped(Connect.open(
    { address, expected: material.leaf.identity, sni: undefined, timeoutMillis: millis },
    material,
    yield* Effect.context<never>()
  ))))
  if (Result.isSuccess(answer)) {
    return { runs: true, finding: () => Finding.good(`the sidecar answers callers at ${where}`) }
  }
  const { failure } = answer
  if (failure._tag === "ConnectFailed" && failure.code === "ECONNREFUSED") {
    return {
      runs: false,
      finding: (start: string) =>
        isRegistered
          ? Finding.broken(`nobody listens at ${where}, where callers from the mesh connect`, start)
          : Finding.good(`${where}, where callers from the mesh connect, is free`)
    }
  }
  return {
    runs: false,
    finding: () => Finding.broken(`${where} is not answered by the sidecar: ${failure.message}`, remedy)
  }
})

const ofApplication = ({ millis, registration: { application } }: Options): Effect.Effect<Finding.Finding> =>
  Application.open(application, millis).pipe(
    Effect.map(({ reset }) => {
      reset()
      return Finding.good(`the application accepts connections at ${Listening.format(application)}`)
    }),
    Effect.catch(({ code }) =>
      Effect.succeed(
        Finding.broken(
          `the application does not accept connections at ${Listening.format(application)}: ${code}`,
          "Start it, or correct where the registration says that it is"
        )
      )
    )
  )

/** By listening there for a moment: a connection would be relayed. */
const isFree = (bind: Listening.Bind): Effect.Effect<string> =>
  Effect.suspend(() => {
    if ("path" in bind) return isAnswered(bind.path)
    const server = Net.createServer()
    return Listening.listen(server, bind).pipe(
      Effect.as("free"),
      Effect.catch(({ code }) => Effect.succeed(code === "EADDRINUSE" ? "taken" : code)),
      Effect.ensuring(Listening.close(server))
    )
  })

/** A socket that listening would create stays behind. */
const isAnswered = (path: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("taken"))
    })
    socket.once("error", () => resume(Effect.succeed("free")))
    return Effect.sync(() => socket.destroy())
  })
