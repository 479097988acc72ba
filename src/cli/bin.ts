#!/usr/bin/env node
import { setFlagsFromString } from "node:v8"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as CompileCache from "./CompileCache.ts"

// Checked before anything else is loaded: older versions of Node fail in the middle of a dependency, saying nothing useful.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

const supported = major === 24 ? minor >= 17 : major === 26 ? minor >= 1 : major > 26

const needed = [
  "crypto",
  "child_process",
  "fs/promises",
  "http",
  "http2",
  "https",
  "readline",
  "stream/consumers",
  "tls",
  "zlib"
]

if (!supported) {
  process.stderr.write(
    `effect-mesh needs Node 24.17 or newer, or 26.1 or newer, and this is Node ${process.versions.node}.\n` +
      "Install a newer Node, or run it with one: npx --package=node@24 --package=effect-mesh effect-mesh …\n"
  )
  process.exitCode = 1
} else {
  // Node keeps its own modules compiled, for the flags that V8 starts with: those that everything here needs are loaded before flags are set.
  // That saves a tenth of the CPU of a start.
  for (const name of needed) process.getBuiltinModule(`node:${name}`)
  // V8 would make what a start makes much of among the oldest objects from then on, for good: buffers and streams of each request among
  // it, which then wait for a collection of the whole heap. It decides so while modules are loaded.
  setFlagsFromString("--no-allocation-site-pretenuring")
  if (["proxy", "gateway"].includes(process.argv[2] ?? "")) {
    GarbageCollection.tuneForRelaying()
    if (import.meta.url.endsWith(".js")) CompileCache.open(process.env)
  }
  await import("./main.ts")
}
