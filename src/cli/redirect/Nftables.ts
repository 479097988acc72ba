/** Rules into the kernel, by the command `nft`. */
import { spawn } from "node:child_process"
import { Effect, Schema } from "effect"

/** The kernel has the rules of before. */
export class NotApplied extends Schema.TaggedError<NotApplied>()("NotApplied", { why: Schema.String }) {
  override readonly message = `cannot redirect traffic: ${this.why}`
}

export const apply = (script: string): Effect.Effect<void, NotApplied> =>
  Effect.callback((resume) => {
    const fail = (why: string) => resume(Effect.fail(new NotApplied({ why })))
    if (process.platform !== "linux") {
      return fail(`it takes nftables, which Linux has alone; this is ${process.platform}. --print shows the rules`)
    }
    const nft = spawn("nft", ["-f", "-"], { stdio: ["pipe", "ignore", "pipe"] })
    let said = ""
    nft.stderr.on("data", (data: Buffer) => said += data.toString())
    nft.on("error", ({ message }) => fail(`nft does not run (${message}): install nftables, or use --print`))
    nft.on("close", (code) => {
      if (code === 0) return resume(Effect.void)
      const why = said.trim().split("\n")[0] ?? ""
      fail(
        /not permitted/.test(said)
          ? "the kernel does not permit it: run as root, or with CAP_NET_ADMIN"
          : `nft says ${why === "" ? `nothing, and ends with ${code}` : why}`
      )
    })
    nft.stdin.on("error", () => {})
    nft.stdin.end(script)
  })
