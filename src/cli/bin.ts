#!/usr/bin/env node
// Checked before anything else is loaded: older versions of Node fail in the middle of a dependency, saying nothing useful.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `effect-mesh needs Node 22.19 or newer, and this is Node ${process.versions.node}.\n` +
      "Install a newer Node, or run it with one: npx --package=node@24 --package=effect-mesh effect-mesh …\n"
  )
  process.exitCode = 1
} else {
  await import("./main.ts")
}
