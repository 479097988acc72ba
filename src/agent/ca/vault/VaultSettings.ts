/** What the configuration says of Vault: the keys of Consul's provider, with their words for what is wrong. */
import { Effect, Redacted, Result } from "effect"
import { readFile } from "node:fs/promises"
import type { Schema } from "effect"
import * as CaConfiguration from "../../CaConfiguration.ts"
import * as Provider from "../Provider.ts"

/** A secrets engine of the type `pki`. */
export interface Mount {
  /** Without slashes at its ends. */
  readonly path: string
  /** Empty: none. */
  readonly namespace: string
}

export interface VaultSettings {
  /** Such as `https://127.0.0.1:8200`. */
  readonly address: string
  readonly access: Access
  /** Of tokens. Empty: none. */
  readonly namespace: string
  /** Signs intermediates, and what other providers need vouched for. */
  readonly root: Mount
  /** Signs leaves. */
  readonly intermediate: Mount
  readonly tls: {
    readonly caFile: string
    readonly caPath: string
    readonly certFile: string
    readonly keyFile: string
    readonly serverName: string
    readonly skipVerify: boolean
  }
}

export type Access =
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted<string> }
  | { readonly _tag: "Login"; readonly path: string; readonly body: Redacted.Redacted<Params> }

type Params = { readonly [name: string]: Schema.Json }

export const read = (
  config: CaConfiguration.CaConfiguration
): Effect.Effect<VaultSettings, Provider.ProviderError> => {
  const text = (name: string) => CaConfiguration.text(config, name)
  return Effect.gen(function*() {
    const access = yield* accessOf(config)
    const root = pathOf(text("RootPKIPath"))
    if (root === "") return yield* Effect.fail("must provide a valid path to a root PKI backend")
    const intermediate = pathOf(text("IntermediatePKIPath"))
    if (intermediate === "") return yield* Effect.fail("must provide a valid path for the intermediate PKI backend")
    if ((text("CertFile") === "") !== (text("KeyFile") === "")) {
      return yield* Effect.fail("CertFile and KeyFile go together: set both or neither")
    }
    const address = text("Address") || "https://127.0.0.1:8200"
    if (!/^https?:\/\/[^/]/.test(address)) {
      return yield* Effect.fail(`Address ${JSON.stringify(address)} is no URL: write https://host:port`)
    }
    const namespace = text("Namespace")
    return {
      address: address.replace(/\/+$/, ""),
      access,
      namespace,
      root: { path: root, namespace: text("RootPKINamespace") || namespace },
      intermediate: { path: intermediate, namespace: text("IntermediatePKINamespace") || namespace },
      tls: {
        caFile: text("CAFile"),
        caPath: text("CAPath"),
        certFile: text("CertFile"),
        keyFile: text("KeyFile"),
        serverName: text("TLSServerName"),
        skipVerify: /^(1|t|true)$/i.test(String(config.shown["TLSSkipVerify"] ?? false))
      }
    }
  }).pipe(Effect.mapError((why) => new Provider.ProviderError({ why })))
}

/** What may not be changed while the root stays: it would not come into force. */
export const compare = (
  before: CaConfiguration.CaConfiguration,
  next: CaConfiguration.CaConfiguration
): Result.Result<void, Provider.ProviderError> => {
  const root = ({ shown }: CaConfiguration.CaConfiguration) => pathOf(String(shown["RootPKIPath"] ?? ""))
  const changed = root(before) !== root(next)
    ? undefined
    : before.key.type !== next.key.type
    ? "PrivateKeyType"
    : before.key.bits !== next.key.bits
    ? "PrivateKeyBits"
    : undefined
  return changed === undefined
    ? Result.void
    : Result.fail(
      new Provider.ProviderError({
        why: "new configuration is incompatible with previous configuration: cannot update the " +
          `${changed} field without changing RootPKIPath`
      })
    )
}

const pathOf = (text: string): string => text.replace(/^\/+|\/+$/g, "")

const accessOf = (config: CaConfiguration.CaConfiguration): Effect.Effect<Access, string> =>
  Effect.suspend(() => {
    const token = CaConfiguration.text(config, "Token")
    const method = recordOf(config.shown["AuthMethod"] ?? config.shown["auth_method"])
    if (token !== "" && method !== undefined) {
      return Effect.fail("only one of Vault token or Vault auth method can be provided, but not both")
    }
    if (method !== undefined) return loginOf(method)
    return token === ""
      ? Effect.fail("must provide a Vault token or configure a Vault auth method")
      : Effect.succeed<Access>({ _tag: "Token", token: Redacted.make(token, { label: "Vault token" }) })
  })

/** Those whose login takes what `Params` has. */
const methods: ReadonlyArray<string> = [
  "alicloud",
  "approle",
  "aws",
  "azure",
  "cert",
  "cf",
  "gcp",
  "github",
  "jwt",
  "kerberos",
  "kubernetes"
]

/** Those whose login has one of the parameters in its path. */
const named: { readonly [type: string]: string } = {
  ldap: "username",
  okta: "username",
  radius: "username",
  userpass: "username",
  oci: "role"
}

const loginOf = Effect.fnUntraced(function*(method: Params): Effect.fn.Return<Access, string> {
  const type = String(method["Type"] ?? method["type"] ?? "")
  const mount = pathOf(String(method["MountPath"] ?? method["mount_path"] ?? "")) || type
  const params = recordOf(method["Params"] ?? method["params"]) ?? {}
  if (type === "token") {
    return yield* Effect.fail(
      "'token' auth method is not supported via auth method configuration; please provide the token with the 'token' " +
        "parameter in the CA configuration"
    )
  }
  const login = (body: Params, name = ""): Access => ({
    _tag: "Login",
    path: `auth/${mount}/login${name === "" ? "" : `/${encodeURIComponent(name)}`}`,
    body: Redacted.make(body, { label: "Vault login" })
  })
  const parameter = named[type]
  if (parameter !== undefined) {
    const name = params[parameter]
    return typeof name === "string" && name !== ""
      ? login(params, name)
      : yield* Effect.fail(`failed to get '${parameter}' from auth method params`)
  }
  if (!methods.includes(type)) return yield* Effect.fail(`auth method ${JSON.stringify(type)} is not supported`)
  if (type === "kubernetes" && (params["jwt"] ?? "") === "") {
    const jwt = yield* Effect.tryPromise({
      try: () => readFile(serviceAccount, "utf8"),
      catch: () => `auth method "kubernetes" has no 'jwt' in its params, and ${serviceAccount} cannot be read`
    })
    return login({ ...params, jwt })
  }
  return login(params)
})

/** Where Kubernetes puts the token of a pod. */
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

const recordOf = (value: Schema.Json | undefined): Params | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    ? value as Params
    : undefined
