/** What a real agent checks about a `terminating-gateway` (`agent/structs/config_entry_gateways.go`), in its words. */
import { Result } from "effect"
import type { TerminatingGateway } from "../../consul/config/TerminatingGateway.ts"

export const validate = (entry: TerminatingGateway): Result.Result<TerminatingGateway, string> => {
  if (entry.Name === "") return Result.fail("Name is required")
  const seen = new Set<string>()
  for (const { CAFile, CertFile, KeyFile, Name, Namespace } of entry.Services) {
    if (Name === "") return Result.fail("Service name cannot be blank.")
    if (Namespace !== "" && Namespace !== "default") {
      return Result.fail("Services.Namespace: Setting Namespace requires Consul Enterprise")
    }
    if (seen.has(Name)) return Result.fail(`Service "${Name}" was specified more than once within a namespace`)
    seen.add(Name)
    if ((CertFile !== "" || KeyFile !== "") && (CAFile === "" || CertFile === "" || KeyFile === "")) {
      return Result.fail(`Service "${Name}" must have a CertFile, CAFile, and KeyFile specified for TLS origination`)
    }
  }
  return Result.succeed(entry)
}
