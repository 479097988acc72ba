/** What Consul demands of a `service-intentions` entry before it stores it (`agent/structs/config_entry_intentions.go`). */
import { Result } from "effect"
import * as RegularExpression from "../../intention/RegularExpression.ts"
import type * as Document from "./Document.ts"

/** Reports what is wrong to the document. `providers` are the `jwt-provider` entries, if any are given. */
export const check = (document: Document.Document, entry: Document.Value, providers: ReadonlySet<string>): void => {
  const name = text(entry, "Name")
  if (name === "") document.problemAt(entry, "Name", "the entry has no name; Name is the service that is called, or *")
  checkWildcard(document, entry, "Name", name)
  if (text(entry, "Namespace") === "*" && name !== "*") {
    document.problemAt(entry, "Name", "in the namespace * the name must be * too")
  }
  checkJwt(document, entry, providers)
  const sources = objects(entry, "Sources")
  if (sources.length === 0) document.problemAt(entry, "Sources", "the entry has no sources; give at least one")
  const seen = new Map<string, Document.Value>()
  for (const source of sources) {
    checkSource(document, source, providers, name === "*" || text(entry, "Namespace") === "*")
    const key = JSON.stringify(
      ["Peer", "SamenessGroup", "Partition", "Namespace", "Name"].map((field) => text(source, field))
    )
    const first = seen.get(key)
    if (first === undefined) seen.set(key, source)
    else {
      document.problemAt(
        source,
        "Name",
        `the source ${text(source, "Name")} exists already, at ${document.position(first)}; merge the two`
      )
    }
  }
}

const checkSource = (
  document: Document.Document,
  source: Document.Value,
  providers: ReadonlySet<string>,
  wildcardDestination: boolean
): void => {
  const name = text(source, "Name")
  if (name === "") document.problemAt(source, "Name", "the source has no name; Name is the service that calls, or *")
  for (const field of ["Name", "Namespace"]) checkWildcard(document, source, field, text(source, field))
  for (const field of ["Partition", "Peer", "SamenessGroup"]) {
    if (text(source, field).includes("*")) document.problemAt(source, field, `${field} can not have a *; name one`)
  }
  if (text(source, "Namespace") === "*" && name !== "*") {
    document.problemAt(source, "Name", "in the namespace * the name must be * too")
  }
  const exclusive = ["Partition", "Peer", "SamenessGroup"].filter((field) => text(source, field) !== "")
  if (exclusive.length > 1) document.problemAt(source, exclusive[1], `${exclusive.join(" and ")} exclude each other`)
  const action = text(source, "Action")
  const permissions = objects(source, "Permissions")
  if (permissions.length === 0) {
    if (action !== "allow" && action !== "deny") {
      document.problemAt(source, "Action", "Action must be allow or deny, or there must be Permissions")
    }
    return
  }
  if (action !== "") document.problemAt(source, "Action", "Action and Permissions exclude each other; remove one")
  if (wildcardDestination) {
    document.problemAt(source, "Permissions", "an entry for * can not have Permissions; write entries for the services")
  }
  for (const permission of permissions) checkPermission(document, permission, providers)
}

const checkPermission = (
  document: Document.Document,
  permission: Document.Value,
  providers: ReadonlySet<string>
): void => {
  const action = text(permission, "Action")
  if (action !== "allow" && action !== "deny") {
    document.problemAt(permission, "Action", "the Action of a permission must be allow or deny")
  }
  checkJwt(document, permission, providers)
  const [http] = objects({ http: [permission["HTTP"]] }, "http")
  if (http === undefined) {
    document.problemAt(permission, "HTTP", "the permission has no HTTP; say which requests it is about")
    return
  }
  const paths = ["PathExact", "PathPrefix", "PathRegex"].filter((field) => text(http, field) !== "")
  const headers = objects(http, "Header")
  const methods = (http["Methods"] as ReadonlyArray<string> | undefined) ?? []
  if (paths.length > 1) document.problemAt(http, paths[1], `${paths.join(" and ")} exclude each other; keep one`)
  if (paths.length + headers.length + methods.length === 0) {
    document.problemAt(http, undefined, "HTTP says nothing; give a path, headers or methods")
  }
  for (const field of ["PathExact", "PathPrefix"]) {
    const path = text(http, field)
    if (path !== "" && !path.startsWith("/")) document.problemAt(http, field, `${field} must start with /`)
  }
  checkExpression(document, http, "PathRegex")
  methods.forEach((method, i) => {
    if (!knownMethods.has(method.toUpperCase())) {
      document.problemAt(
        http,
        "Methods",
        `the method ${method} is not known; known are ${[...knownMethods].join(", ")}`
      )
    }
    if (methods.findIndex((other) => other.toUpperCase() === method.toUpperCase()) < i) {
      document.problemAt(http, "Methods", `the method ${method} is there twice; remove one`)
    }
  })
  for (const header of headers) checkHeader(document, header)
}

const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"])

const checkHeader = (document: Document.Document, header: Document.Value): void => {
  if (text(header, "Name") === "") document.problemAt(header, "Name", "the header matcher has no Name")
  const kinds = ["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex"].filter((kind) => Boolean(header[kind]))
  if (kinds.length !== 1) {
    document.problemAt(
      header,
      kinds[1],
      `the header matcher has ${
        kinds.length === 0 ? "no kind" : kinds.join(" and ")
      }; give exactly one of Present, Exact, Prefix, Suffix, Contains and Regex`
    )
  }
  if (header["IgnoreCase"] === true && (kinds.includes("Present") || kinds.includes("Regex"))) {
    document.problemAt(header, "IgnoreCase", `IgnoreCase means nothing for ${kinds.join()}; an expression has (?i)`)
  }
  checkExpression(document, header, "Regex")
}

const checkExpression = (document: Document.Document, value: Document.Value, field: string): void => {
  const expression = text(value, field)
  if (expression === "") return
  const compiled = RegularExpression.compile(expression)
  if (Result.isFailure(compiled)) {
    document.problemAt(
      value,
      field,
      `${field} is no RE2 expression: ${compiled.failure}; Envoy would refuse the whole listener`
    )
  }
}

const checkJwt = (document: Document.Document, value: Document.Value, known: ReadonlySet<string>): void => {
  const [jwt] = objects({ jwt: [value["JWT"]] }, "jwt")
  for (const provider of jwt === undefined ? [] : objects(jwt, "Providers")) {
    const name = text(provider, "Name")
    if (name === "") document.problemAt(provider, "Name", "the token provider has no Name")
    else if (known.size > 0 && !known.has(name)) {
      document.problemAt(provider, "Name", `there is no jwt-provider ${name}; known are ${[...known].join(", ")}`)
    }
  }
}

/** `*` stands alone, or not at all; and what looks like a template is none of a name. */
const checkWildcard = (document: Document.Document, value: Document.Value, field: string, name: string): void => {
  if (name.includes("*") && name !== "*") {
    document.problemAt(value, field, `${name} is neither a name nor *; a wildcard can not be a part of a name`)
  } else if (/[\s${}]/.test(name)) {
    document.problemAt(value, field, `${JSON.stringify(name)} is no name; if it is a template, give what is made of it`)
  }
}

const text = (value: Document.Value, key: string): string => {
  const found = value[key]
  return typeof found === "string" ? found : ""
}

const objects = (value: Document.Value, key: string): ReadonlyArray<Document.Value> =>
  (value[key] as ReadonlyArray<Document.Value | undefined> | undefined ?? []).filter((item) => item !== undefined)
