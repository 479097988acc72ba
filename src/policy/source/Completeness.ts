/**
 * Whether what an agent answered is all that it has stored. Consul leaves out what a token may not read. It says so in a header
 * since 1.11, and never to callers without a token. So an answer is whole only if nothing speaks against it: no header, a
 * token, a version that has the header, and the right to read a name that nobody has.
 */

/** What was read, and by which right. */
export type Part = "intentions" | "protocols" | "providers" | "services"

export interface Facts {
  /** Whom the servers took the reader for. `management`: the policy that may do everything. */
  readonly reader: "anybody" | "management" | "token" | "anonymous"
  /** Of the agent. Undefined: not ours to read. */
  readonly version: string | undefined
  /** What the servers said that they left something out of. */
  readonly filtered: ReadonlySet<Part>
  /** What the token may not read of every service. */
  readonly denied: ReadonlySet<Part>
  /** Services, of those that are known, whose intentions may not be read. */
  readonly hidden: ReadonlyArray<string>
  /** Two times of reading, one right after the other, had the same answers. */
  readonly settled: boolean
}

/** What is missing and what would mend it, in sentences. None: the answers are whole. */
export const missing = (facts: Facts): ReadonlyArray<string> => [
  ...parts.flatMap((part) => missingPart(facts, part)),
  ...(facts.reader === "anonymous"
    ? [
      "no token was sent, and Consul does not say to anonymous readers what it leaves out. Send a token with " +
      `${rights.intentions} and ${rights.providers}: --token-file, CONSUL_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN`
    ]
    : []),
  ...(facts.reader === "token" && !saysWhatItLeavesOut(facts.version)
    ? [
      facts.version === undefined
        ? "it is not known whether this agent says what it leaves out, as Consul does from 1.11 on. The token needs " +
          "agent_prefix \"\" { policy = \"read\" } to read its version"
        : `Consul ${facts.version} does not say what it leaves out, as it does from 1.11 on. Use a token with the policy ` +
          "global-management, or a newer Consul"
    ]
    : []),
  ...(isEnterprise(facts.version)
    ? [
      "Consul Enterprise was asked for one namespace and partition. Read the entries of all of them from files"
    ]
    : []),
  ...(facts.settled ? [] : ["what is stored changed each time that it was read. Ask again when nobody writes"])
]

const parts: ReadonlyArray<Part> = ["intentions", "protocols", "providers", "services"]

const missingPart = ({ denied, filtered, hidden, reader }: Facts, part: Part): ReadonlyArray<string> => {
  const isFiltered = filtered.has(part)
  if (!isFiltered && !denied.has(part)) return []
  const some = part === "intentions" && hidden.length > 0 ? `, among them ${list(hidden)}` : ""
  return [
    `${names[part]} ${isFiltered ? "were left out" : "may be missing"}, as the ${
      reader === "anonymous" ? "anonymous token" : "token"
    } may not read all of them${some}. It needs ${rights[part]}`
  ]
}

const names: { readonly [P in Part]: string } = {
  intentions: "intentions of some services",
  protocols: "service-defaults, which say the protocol of some services,",
  providers: "jwt-providers",
  services: "names of some services"
}

/** As they are written into a policy of Consul's ACL system. */
const rights: { readonly [P in Part]: string } = {
  intentions: "service_prefix \"\" { policy = \"read\", intentions = \"read\" }",
  protocols: "service_prefix \"\" { policy = \"read\" }",
  providers: "mesh = \"read\"",
  services: "service_prefix \"\" { policy = \"read\" }"
}

const list = (names: ReadonlyArray<string>): string =>
  names.length <= 8 ? names.join(", ") : `${names.slice(0, 8).join(", ")} and ${names.length - 8} more`

/** The first version with `X-Consul-Results-Filtered-By-ACLs`. */
const saysWhatItLeavesOut = (version: string | undefined): boolean => {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number)
  return major > 1 || (major === 1 && minor >= 11)
}

const isEnterprise = (version: string | undefined): boolean => version?.includes("+ent") === true
