import { assert, describe, it } from "@effect/vitest"
import * as NativeHttp from "./native-http.ts"

describe("npm run bench -- native-http", () => {
  it("calls a service by hand, by Effect, by the mesh and through sidecars", async () => {
    const [requests] = await NativeHttp.run(NativeHttp.short)
    for (const name of NativeHttp.short.competitors) assert.isAbove(requests!.samples[name]![0]!, 0, name)
  }, 180_000)
})
