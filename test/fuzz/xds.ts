/**
 * Resources with bytes that are wrong: reading them never throws, and a stranger is let in only where the rules are a list of those who
 * are denied.
 */
import { decodeAny } from "../../src/xds/proto/Decode.ts"
import { encode, typeUrl } from "../../src/xds/proto/Encode.ts"
import type { Name } from "../../src/xds/proto/Messages.ts"
import type * as Fields from "../../src/xds/read/Fields.ts"
import * as Reading from "../../src/xds/read/Reading.ts"
import * as State from "../../src/xds/read/State.ts"
import * as certificates from "../support/certificates.ts"
import * as resources from "../support/xdsResources.ts"
import * as Generate from "./generate.ts"

export interface Outcome {
  readonly runs: number
  /** Resources that were understood all the same. */
  readonly understood: number
  readonly differences: ReadonlyArray<string>
}

const kinds: Readonly<Partial<Record<Name, State.Kind>>> = {
  "cluster.Cluster": "clusters",
  "endpoint.ClusterLoadAssignment": "assignments",
  "listener.Listener": "listeners"
}

const stranger = certificates.service("a-stranger-whom-no-byte-names")

/** One to three faults: a bit, a byte, a piece that is gone or comes twice. */
const broken = (bytes: Uint8Array, next: Generate.Random): Uint8Array => {
  let all = Buffer.from(bytes)
  for (let faults = 1 + Math.floor(next() * 3); faults > 0; faults--) {
    const at = Math.floor(next() * all.length)
    const length = Math.floor(next() * 9)
    switch (Math.floor(next() * 4)) {
      case 0:
        all[at]! ^= 1 << Math.floor(next() * 8)
        break
      case 1:
        all[at] = Math.floor(next() * 256)
        break
      case 2:
        all = Buffer.concat([all.subarray(0, at), all.subarray(at + length)])
        break
      default:
        all = Buffer.concat([all.subarray(0, at + length), all.subarray(at)])
    }
  }
  return all
}

/** Until `isOver`, or the first hundred differences. */
export const run = async (seed: number, isOver: (runs: number) => boolean): Promise<Outcome> => {
  const next = Generate.random(seed)
  const self = await resources.identity("web", await certificates.root("Root"))
  const whole = [
    resources.localApp(1001),
    resources.cluster(self, "api"),
    resources.instances("api", [1004]),
    resources.publicListener(self, 1002, resources.allowing(["api", "[^/]+-admin"])),
    resources.upstreamListener("api", 1003)
  ].map((resource) => ({ ...resource, bytes: encode(resource.type, resource.message as never) }))
  const differences: Array<string> = []
  let [runs, understood] = [0, 0]
  for (; !isOver(runs) && differences.length < 100; runs++) {
    const chosen = Math.floor(next() * whole.length)
    const bytes = broken(whole[chosen]!.bytes, next)
    try {
      let state = State.empty
      let denies = false
      whole.forEach(({ bytes: right, name, type }, i) => {
        const { message, unknown } = decodeAny({ typeUrl: typeUrl(type), value: i === chosen ? bytes : right })
        if (JSON.stringify(message).includes("\"DENY\"")) denies = true
        const applied = State.apply(state, kinds[type]!, [{ name, unknown, json: message as Fields.Json }], [])
        state = applied.state
        if (i === chosen && applied.flaws.length === 0) understood++
      })
      const reading = Reading.make("web-sidecar-proxy")(state)
      const lets = reading?.policy.authorizer.connection(stranger).allowed ?? false
      if (lets && !denies) differences.push(`${Buffer.from(bytes).toString("hex")} lets a stranger in`)
      reading?.instances(resources.clusterName("api"))
    } catch (cause) {
      differences.push(`${Buffer.from(bytes).toString("hex")}: ${cause instanceof Error ? cause.stack : String(cause)}`)
    }
  }
  return { runs, understood, differences }
}
