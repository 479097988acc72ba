/**
 * A Vault for tests: a real one where `VAULT_BIN` names it, else a double that answers the same requests. The double has been
 * held beside Vault 1.14.8, whose statuses, fields and words these are.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createHash, randomUUID, webcrypto } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, type Scope } from "effect"
import * as Keys from "../../src/agent/ca/Keys.ts"
import * as x509 from "../../src/identity/x509.ts"
import { freePort } from "./ports.ts"

export interface Vault {
  readonly address: string
  /** Of root. */
  readonly token: string
  /** What it answers under this token: `data`, or `auth`. */
  readonly ask: (method: string, path: string, body?: unknown) => Effect.Effect<Fields>
  /** Whether it is a double. */
  readonly double: boolean
}

/** What is sent and answered, whatever the path. */
export interface Fields {
  readonly key_type: "ec"
  readonly key_bits: 256 | 384 | 521
  readonly common_name: string
  readonly uri_sans: string
  readonly csr: string
  readonly ttl: string
  readonly max_path_length?: number
  readonly not_before_duration?: string
  readonly certificate: string
  readonly default: string
  readonly keys: ReadonlyArray<string>
  readonly key_id?: string
  readonly role_id: string
  readonly secret_id: string
}

export const make: Effect.Effect<Vault, never, Scope.Scope> = Effect.suspend(() =>
  process.env["VAULT_BIN"] === undefined ? double : real(process.env["VAULT_BIN"])
)

const client = (address: string, token: string, double: boolean): Vault => ({
  address,
  token,
  double,
  ask: (method, path, body) =>
    Effect.promise(async () => {
      const response = await fetch(`${address}/v1/${path}`, {
        method,
        headers: { "x-vault-token": token },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status} ${text}`)
      const parsed = text === "" ? {} : JSON.parse(text)
      return parsed.auth ?? parsed.data
    })
})

const real = (binary: string) =>
  Effect.gen(function*() {
    const port = yield* freePort
    const address = `http://127.0.0.1:${port}`
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(binary, ["server", "-dev", "-dev-root-token-id=root", `-dev-listen-address=127.0.0.1:${port}`], {
          stdio: "ignore"
        })
      ),
      (child: ChildProcess) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            child.once("exit", () => resolve())
            child.kill("SIGKILL")
          })
        )
    )
    yield* Effect.promise(async () => {
      while (await fetch(`${address}/v1/sys/health`).then(({ ok }) => !ok, () => true)) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })
    return client(address, "root", false)
  })

interface Engine {
  readonly keys: Map<string, webcrypto.CryptoKeyPair>
  readonly issuers: Map<string, { readonly certificate: x509.X509Certificate; readonly key: string }>
  role: Fields | undefined
  chosen: string
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, text: string) {
    super(text)
    this.status = status
  }
}

const double = Effect.acquireRelease(
  Effect.callback<{ readonly server: Http.Server; readonly address: string }>((resume) => {
    const handle = makeDouble()
    const server = Http.createServer(async (request, response) => {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      try {
        const answer = await handle(
          request.method ?? "",
          (request.url ?? "").replace("/v1/", ""),
          String(request.headers["x-vault-token"] ?? ""),
          text === "" ? {} : JSON.parse(text)
        )
        if (answer === undefined || answer === "") response.writeHead(204).end()
        else response.end(typeof answer === "string" ? answer : JSON.stringify(answer))
      } catch (error) {
        response.writeHead(error instanceof Refusal ? error.status : 500)
          .end(JSON.stringify({ errors: [error instanceof Error ? error.message : String(error)] }))
      }
    })
    server.listen(
      0,
      "127.0.0.1",
      () => resume(Effect.succeed({ server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }))
    )
  }),
  ({ server }) =>
    Effect.promise(() =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    )
).pipe(Effect.map(({ address }) => client(address, "root", true)))

/** Seconds of a Go duration, as Vault reads them. */
const seconds = (text: string) => {
  let total = 0
  for (const [, count, unit] of text.matchAll(/([\d.]+)(h|m|s)/g)) {
    total += Number(count) * (unit === "h" ? 3600 : unit === "m" ? 60 : 1)
  }
  return total
}

const pem = (certificate: x509.X509Certificate) => certificate.toString("pem")

const makeDouble = () => {
  const engines = new Map<string, Engine>()
  const tokens = new Set(["root"])
  const appRole = { role_id: randomUUID(), secret_id: randomUUID() }

  const engineOf = (path: string): readonly [Engine, string, string] => {
    for (const [mount, engine] of engines) {
      if (path.startsWith(`${mount}/`)) return [engine, mount, path.slice(mount.length + 1)]
    }
    throw new Refusal(404, `no handler for route ${JSON.stringify(path)}. route entry not found.`)
  }
  const chosen = (engine: Engine) => {
    const issuer = engine.issuers.get(engine.chosen)
    if (issuer === undefined) throw new Refusal(500, "no default issuer currently configured")
    return issuer
  }
  const issue = async (
    engine: Engine | undefined,
    own: webcrypto.CryptoKeyPair | undefined,
    options:
      & {
        subject: x509.Name | string
        publicKey: x509.PublicKey | webcrypto.CryptoKey
        extensions: Array<x509.Extension>
      }
      & {
        notBefore?: Date
        notAfter: Date
      }
  ) => {
    const issuer = engine === undefined ? undefined : chosen(engine)
    const keys = own ?? engine?.keys.get(issuer?.key ?? "")
    if (keys === undefined) throw new Refusal(500, "the issuer has no key")
    const ski = issuer?.certificate.getExtension(x509.SubjectKeyIdentifierExtension)
    return x509.X509CertificateGenerator.create({
      serialNumber: randomUUID().replaceAll("-", "").replace(/^./, "1"),
      subject: options.subject,
      issuer: issuer?.certificate.subjectName ?? options.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - 30_000),
      notAfter: options.notAfter,
      publicKey: options.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions: [
        ...options.extensions,
        ...(ski === null || ski === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(ski.keyId)])
      ]
    })
  }
  const identifier = (publicKey: x509.PublicKey) =>
    createHash("sha1").update(new Uint8Array(publicKey.rawData)).digest("hex")
  const authority = (publicKey: x509.PublicKey, names: ReadonlyArray<string>, pathLength?: number) => [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.SubjectKeyIdentifierExtension(identifier(publicKey)),
    ...(names.length === 0
      ? []
      : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "url" as const, value })), true)])
  ]
  const add = (engine: Engine, certificate: x509.X509Certificate, key: string) => {
    const id = randomUUID()
    engine.issuers.set(id, { certificate, key })
    if (engine.chosen === "") engine.chosen = id
    return id
  }
  const generate = (body: Fields) => Keys.generate({ type: body.key_type, bits: body.key_bits })
  const publicKeyOf = async (keys: webcrypto.CryptoKeyPair) =>
    new x509.PublicKey(new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey)))
  const urisOf = (csr: x509.Pkcs10CertificateRequest) =>
    (csr.extensions.find((each) => each instanceof x509.SubjectAlternativeNameExtension)?.names.items ?? [])
      .filter(({ type }) => type === "url").map(({ value }) => value)

  const pki = async (engine: Engine, method: string, what: string, body: Fields): Promise<unknown> => {
    const [first = "", second = ""] = what.split("/")
    switch (`${method} ${what}`) {
      case "GET ca/pem":
        return engine.chosen === "" ? "" : pem(chosen(engine).certificate)
      case "GET ca_chain":
        return engine.chosen === "" ? "" : pem(chosen(engine).certificate)
      case "POST root/generate/internal": {
        const keys = await generate(body)
        const key = randomUUID()
        engine.keys.set(key, keys)
        const publicKey = await publicKeyOf(keys)
        const certificate = await issue(undefined, keys, {
          subject: `CN=${body.common_name}`,
          publicKey,
          notAfter: new Date(Date.now() + 10 * 365 * 86_400_000),
          extensions: authority(publicKey, [body.uri_sans])
        })
        add(engine, certificate, key)
        return { data: { certificate: pem(certificate) } }
      }
      case "POST intermediate/generate/internal": {
        const keys = await generate(body)
        const key = randomUUID()
        engine.keys.set(key, keys)
        const csr = await x509.Pkcs10CertificateRequestGenerator.create({
          name: `CN=${body.common_name}`,
          keys,
          signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
          extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: body.uri_sans }])]
        })
        return { data: { csr: csr.toString("pem"), key_id: key } }
      }
      case "POST root/sign-intermediate": {
        const csr = new x509.Pkcs10CertificateRequest(body.csr)
        const certificate = await issue(engine, undefined, {
          subject: csr.subjectName,
          publicKey: csr.publicKey,
          notAfter: new Date(Date.now() + seconds(body.ttl) * 1000),
          extensions: authority(csr.publicKey, urisOf(csr), body.max_path_length)
        })
        return { data: { certificate: `${pem(certificate)}\n${pem(chosen(engine).certificate)}` } }
      }
      case "POST root/sign-self-issued": {
        const subject = new x509.X509Certificate(body.certificate)
        const certificate = await issue(engine, undefined, {
          subject: subject.subjectName,
          publicKey: subject.publicKey,
          notBefore: subject.notBefore,
          notAfter: subject.notAfter,
          extensions: subject.extensions.filter(({ type }) => type !== "2.5.29.35")
        })
        return { data: { certificate: pem(certificate) } }
      }
      case "POST intermediate/set-signed": {
        const [text = ""] = body.certificate.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []
        const certificate = new x509.X509Certificate(text)
        for (const [key, keys] of engine.keys) {
          if (Buffer.from((await publicKeyOf(keys)).rawData).equals(Buffer.from(certificate.publicKey.rawData))) {
            return { data: { mapping: { [add(engine, certificate, key)]: key } } }
          }
        }
        throw new Refusal(400, "no key for this certificate")
      }
      case "GET config/issuers":
        return { data: { default: engine.chosen, default_follows_latest_issuer: false } }
      case "POST config/issuers":
        engine.chosen = body.default
        return { data: { default: engine.chosen } }
      case "POST roles/leaf-cert":
        engine.role = body
        return { data: body }
      case "POST sign/leaf-cert": {
        if (engine.role === undefined) throw new Refusal(400, "unknown role: leaf-cert")
        const csr = new x509.Pkcs10CertificateRequest(body.csr)
        const certificate = await issue(engine, undefined, {
          subject: "",
          publicKey: csr.publicKey,
          notBefore: new Date(Date.now() - seconds(engine.role.not_before_duration ?? "30s") * 1000),
          notAfter: new Date(Date.now() + seconds(body.ttl) * 1000),
          extensions: [
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyAgreement, true),
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
            new x509.SubjectAlternativeNameExtension(urisOf(csr).map((value) => ({ type: "url" as const, value })))
          ]
        })
        return { data: { certificate: pem(certificate), issuing_ca: pem(chosen(engine).certificate) } }
      }
    }
    if (method === "GET" && first === "issuer") return { data: { key_id: engine.issuers.get(second)?.key } }
    if (method === "DELETE" && first === "issuer") return void engine.issuers.delete(second)
    if (method === "DELETE" && first === "key") return void engine.keys.delete(second)
    if (method === "GET" && what === "issuers?list=true") return { data: { keys: [...engine.issuers.keys()] } }
    throw new Refusal(405, "unsupported operation")
  }

  return async (method: string, path: string, token: string, body: Fields): Promise<unknown> => {
    if (path === "auth/approle/login") {
      if (body.role_id !== appRole.role_id || body.secret_id !== appRole.secret_id) {
        throw new Refusal(400, "invalid role or secret ID")
      }
      const issued = randomUUID()
      tokens.add(issued)
      return { auth: { client_token: issued, lease_duration: 3600, renewable: true } }
    }
    if (!tokens.has(token)) throw new Refusal(403, "permission denied")
    if (path === "auth/token/lookup-self") return { data: { ttl: 0, renewable: false } }
    if (path === "sys/auth/approle" || path === "auth/approle/role/mesh") return undefined
    if (path === "auth/approle/role/mesh/role-id") return { data: { role_id: appRole.role_id } }
    if (path === "auth/approle/role/mesh/secret-id") return { data: { secret_id: appRole.secret_id } }
    const mount = /^sys\/mounts\/(.*?)(\/tune)?$/.exec(path)
    if (mount?.[1] !== undefined) {
      if (mount[2] === undefined) {
        engines.set(mount[1], { keys: new Map(), issuers: new Map(), role: undefined, chosen: "" })
      }
      return undefined
    }
    const [engine, , what] = engineOf(path)
    return pki(engine, method, what, body)
  }
}
