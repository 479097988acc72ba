/** Envoy's own definitions, read from the `.proto` files that come with gRPC's client of xDS. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import protobuf from "protobufjs"

const require = createRequire(import.meta.url)
const home = dirname(require.resolve("@grpc/grpc-js-xds/package.json"))

const folders = [
  ...["envoy-api", "googleapis", "protoc-gen-validate", "xds"].map((name) => join(home, "deps", name)),
  dirname(require.resolve("protobufjs/package.json"))
]

/** `files` are paths below the root of Envoy's API. */
export const load = (files: ReadonlyArray<string>): protobuf.Root => {
  const root = new protobuf.Root()
  root.resolvePath = (_, target) => folders.map((folder) => join(folder, target)).find(existsSync) ?? null
  root.loadSync([...files], { keepCase: true })
  root.resolveAll()
  return root
}
