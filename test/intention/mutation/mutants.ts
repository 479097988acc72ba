/** Wrong evaluators: ways to break the Authorizer that the tests must notice. Each replaces one text that occurs once. */
export interface Mutant {
  /** What the broken one does. */
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
}

const mutants = (file: string, list: ReadonlyArray<readonly [name: string, from: string, to: string]>) =>
  list.map(([name, from, to]): Mutant => ({ name, file: `src/intention/${file}.ts`, from, to }))

export const all: ReadonlyArray<Mutant> = [
  ...mutants("Authorizer", [
    [
      "answers the opposite of the default policy",
      "options.defaultPolicy === \"allow\"",
      "options.defaultPolicy === \"deny\""
    ],
    [
      "takes callers of other trust domains for its own, at L4",
      "source.trustDomain === trustDomain ? find(local, source) : undefined",
      "find(local, source)"
    ],
    [
      "takes callers of other trust domains for its own, at L7",
      "if (source.trustDomain === trustDomain) ruling",
      "ruling"
    ],
    [
      "lets a gateway of any mesh name callers",
      "peered.size === 0 || gateway.trustDomain !== trustDomain",
      "peered.size === 0"
    ],
    ["does not mind contradictions", ": contradicted.has(key(intention))", ": false"],
    [
      "allows connections by permissions",
      "rule.action === \"permissions\"\n    ? Decision.make(\n      false",
      "rule.action === \"permissions\"\n    ? Decision.make(\n      true"
    ],
    [
      "lets connections in where a token is due",
      "const guarded = http && rule.action === \"allow\"",
      "const guarded = false && rule.action === \"allow\""
    ],
    ["asks for tokens on tcp", "const guarded = http && rule.action", "const guarded = rule.action"],
    ["refuses connections where tokens guard nothing", "=== \"allow\" && !defaultAllows &&", "=== \"allow\" &&"],
    ["takes grpc for TCP", "new Set([\"http\", \"http2\", \"grpc\"])", "new Set([\"http\", \"http2\"])"],
    [
      "minds the letter case of the protocol",
      "(destination.protocol || \"tcp\").toLowerCase()",
      "(destination.protocol || \"tcp\")"
    ],
    ["relies on the order of the list", ".sort(Intention.compare)", ""],
    [
      "lets gateways in as services",
      "if (peer === undefined) return notAService[source._tag]",
      "if (peer === undefined) return noIntention"
    ],
    [
      "drops denials of sources that it does not understand",
      "if (source._tag === \"Unclear\" && rule.action === \"allow\")",
      "if (source._tag === \"Unclear\")"
    ],
    [
      "lets allow win over an action beside permissions",
      "return action === \"\" ? undefined : `it has both",
      "return true ? undefined : `it has both"
    ]
  ]),
  ...mutants("Intention", [
    [
      "lets the source decide before the destination",
      "3 * (exactParts(names.DestinationNS, names.DestinationName) + 1) -\n  (2 - exactParts(names.SourceNS, names.SourceName))",
      "3 * (exactParts(names.SourceNS, names.SourceName) + 1) -\n  (2 - exactParts(names.DestinationNS, names.DestinationName))"
    ],
    ["sorts the other way round", "precedence(that) - precedence(self)", "precedence(self) - precedence(that)"],
    ["forgets conditions that it does not know", "(unknown.length === 0 ? wire :", "(true ? wire :"],
    [
      "takes a namespace * for an exact one",
      "namespace === \"*\" ? 0 : name === \"*\" ? 1 : 2",
      "name === \"*\" ? 1 : 2"
    ]
  ]),
  ...mutants("SourceIndex", [
    [
      "prefers the lower rank",
      "b === undefined || a.rank <= b.rank ? a : b",
      "b === undefined || a.rank >= b.rank ? a : b"
    ],
    [
      "prefers the exact name, whatever its rank",
      "better(self.exact.get(name), self.any)",
      "self.exact.get(name) ?? self.any"
    ],
    [
      "prefers the exact namespace, whatever its rank",
      "self.any === undefined ? best : better(best, findInNamespace(self.any, name))",
      "self.any === undefined ? best : best ?? findInNamespace(self.any, name)"
    ]
  ]),
  ...mutants("Source", [
    [
      "ignores the partition of the source",
      "partition: intention.SourcePartition || \"default\",",
      "partition: SourceIndex.any,"
    ],
    [
      "ignores the namespace of the source",
      "namespace: pattern(intention.SourceNS || \"default\"),",
      "namespace: SourceIndex.any,"
    ],
    ["takes peers for local callers", "if (!intention.SourcePeer) return", "if (intention !== undefined) return"],
    [
      "minds the letter case of destinations",
      "const fold = (name: string): string => name.toLowerCase()",
      "const fold = (name: string): string => name"
    ],
    [
      "applies intentions for other partitions",
      "fold(intention.DestinationPartition || \"default\") === fold(destination.partition) &&",
      ""
    ],
    [
      "allows sameness groups",
      "return intention.SourceSamenessGroup\n    ?",
      "return intention.SourceSamenessGroup === \"none\"\n    ?"
    ]
  ]),
  ...mutants("HttpCondition", [
    [
      "ends prefixes at a segment",
      "Verdict.fromBoolean(value.startsWith(wanted))",
      "Verdict.fromBoolean(value === wanted || value.startsWith(wanted.endsWith(\"/\") ? wanted : `${wanted}/`))"
    ],
    [
      "takes an absent header for one that fulfils Invert",
      "if (value === undefined) return Verdict.No",
      "if (value === undefined) return Verdict.fromBoolean(invert)"
    ],
    [
      "ignores Invert of Present",
      "Verdict.fromBoolean((valueOf(request) !== undefined) !== invert)",
      "Verdict.fromBoolean(valueOf(request) !== undefined)"
    ],
    [
      "ignores Invert of values",
      "const verdict = compare(value)\n    return invert ? Verdict.not(verdict) : verdict",
      "return compare(value)"
    ],
    [
      "ignores Invert of lines",
      "compare(line))\n      return invert ? Verdict.not(verdict) : verdict",
      "compare(line))\n      return verdict"
    ],
    [
      "needs every line of a header",
      "let verdict: Verdict.Verdict = Verdict.No\n      for (const line of lines) verdict = Verdict.some(",
      "let verdict: Verdict.Verdict = Verdict.Yes\n      for (const line of lines) verdict = Verdict.all("
    ],
    [
      "looks at the first line of a header",
      "for (const line of lines) verdict = Verdict.some(verdict, compare(line))",
      "verdict = compare(lines[0]!)"
    ],
    ["forgets the lines of the authority", "name === \":authority\" ? [\"host\"] :", ""],
    ["matches the query", "path(withoutQuery(request.path))", "path(request.path)"],
    ["matches the fragment", "code === questionMark || code === hash", "code === questionMark"],
    [
      "folds the letters of the policy only",
      "return ignoreCase ? (value) => compare(Bytes.foldCase(value)) : compare",
      "return compare"
    ],
    [
      "takes exact for a prefix",
      "Verdict.fromBoolean(value === wanted)",
      "Verdict.fromBoolean(value.startsWith(wanted))"
    ],
    [
      "takes a suffix for a part",
      "Verdict.fromBoolean(value.endsWith(wanted))",
      "Verdict.fromBoolean(value.includes(wanted))"
    ],
    [
      "takes a part for a prefix",
      "Verdict.fromBoolean(value.includes(wanted))",
      "Verdict.fromBoolean(value.startsWith(wanted))"
    ],
    [
      "lets GET imply HEAD",
      "allowed.has(request.method)",
      "allowed.has(request.method === \"HEAD\" ? \"GET\" : request.method)"
    ],
    ["minds no letter case of methods", "allowed.has(request.method)", "allowed.has(request.method.toUpperCase())"],
    ["takes no condition for a fulfilled one", "if (conditions.length === 0) unknown(\"it has no condition\")", ""],
    [
      "skips conditions that it does not know",
      "for (const field of http?.UnknownFields ?? []) unknown(`the condition ${field} is not known`)",
      ""
    ],
    [
      "skips matchers of an unknown kind",
      "if (kind === undefined) return unknown(\"has no kind that is known\")",
      "if (kind === undefined) return () => Verdict.Yes"
    ],
    [
      "looks at a header named :authority",
      "return (request) => request.header(\"host\")",
      "return (request) => request.header(\":authority\")"
    ],
    [
      "minds the letter case of header names",
      "const name = Bytes.foldCase(matcher.Name)\n  const shown",
      "const name = matcher.Name\n  const shown"
    ],
    [
      "takes an expression that is wrong for a fulfilled one",
      "return () => Verdict.Unknown\n}\n",
      "return () => Verdict.Yes\n}\n"
    ],
    [
      "needs one condition only",
      "if (next === Verdict.No) return Verdict.No\n    if (next",
      "if (next === Verdict.Yes) return Verdict.Yes\n    if (next"
    ]
  ]),
  ...mutants("RegularExpression", [
    ["finds expressions anywhere", "compiled.testExact(text)", "compiled.test(text)"],
    ["anchors without a group", "compiled.testExact(text)", "RE2JS.compile(`^${expression}$`).test(text)"],
    [
      "matches bytes instead of characters",
      "const text = Bytes.toText(bytes)",
      "const text: string | undefined = bytes"
    ]
  ]),
  ...mutants("Bytes", [
    [
      "folds letters outside ASCII",
      "/[A-Z]/.test(bytes) ? bytes.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : bytes",
      "bytes.toLowerCase()"
    ],
    [
      "compares Unicode with bytes",
      "ascii.test(text) ? text : Buffer.from(text, \"utf8\").toString(\"latin1\")",
      "text"
    ]
  ]),
  ...mutants("HttpRequest", [
    [
      "joins lines with a space",
      "linesOf(raw, name, http2 && name === \"cookie\" ? \"; \" : \",\")",
      "linesOf(raw, name, \", \")"
    ],
    ["splits a Cookie header into what HTTP/2 made of it", "if (http2 && name === \"cookie\") return undefined", ""],
    [
      "looks at the lines of Host beside an authority",
      "? \":authority\" : name\n  let first",
      "? name : name\n  let first"
    ],
    ["finds two lines of a header", "else lines.push(raw[i + 1]!)", ""],
    [
      "takes the last line of a header",
      "value === undefined ? raw[i + 1]! : value + separator + raw[i + 1]!",
      "raw[i + 1]!"
    ],
    ["finds lower-case headers only", "(candidate === name || candidate.toLowerCase() === name)", "candidate === name"]
  ]),
  ...mutants("RequestRuling", [
    [
      "lets the last permission decide",
      "for (let i = 0; i < entries.length; i++)",
      "for (let i = entries.length - 1; i >= 0; i--)"
    ],
    [
      "lets denials decide first",
      "const entries = (rule.intention.Permissions ?? [])",
      "const entries = [...rule.intention.Permissions ?? []].sort((a, b) => a.Action < b.Action ? 1 : -1)"
    ],
    [
      "denies where no permission matches",
      "Decision.make(defaultAllows, \"no-permission\", rule)",
      "Decision.make(false, \"no-permission\", rule)"
    ],
    [
      "demands tokens of the default's verdict too",
      "if (decision.allowed === defaultAllows || demands.length === 0)",
      "if (demands.length === 0)"
    ],
    ["demands no tokens", "if (verdict === Verdict.No) return missing", ""],
    ["joins the lines of a header, whatever others do", "!joined.allowed || !hasSeveral(request, names)", "true"],
    [
      "takes the lines of a header one by one, whatever others do",
      "const joined = decide(request, tokens, \"joined\")",
      "const joined = decide(request, tokens, \"lines\")"
    ],
    [
      "lets in whom either reading lets in",
      "return byLine.allowed ? joined : Decision.byLine(byLine)",
      "return joined"
    ],
    ["looks at the lines of one header only", "i < names.length; i++) if", "i < 1; i++) if"],
    [
      "goes on after a condition that it can not judge",
      "if (verdict === Verdict.Unknown) return entry.undecidable",
      ""
    ],
    [
      "forgets the token of the intention",
      "demand(rule, undefined, required, defaultAllows),\n      demand(rule, index",
      "demand(rule, index"
    ],
    [
      "denies without a token, whatever the default",
      "missing: Decision.make(defaultAllows, \"token-missing\"",
      "missing: Decision.make(false, \"token-missing\""
    ]
  ]),
  ...mutants("TokenRequirement", [
    [
      "needs the tokens of all providers",
      "let verdict: Verdict.Verdict = Verdict.No\n      for (const judge of judges) verdict = Verdict.some(",
      "let verdict: Verdict.Verdict = Verdict.Yes\n      for (const judge of judges) verdict = Verdict.all("
    ],
    [
      "needs one claim only",
      "claims.every((claim) => holds(claim, token))",
      "claims.some((claim) => holds(claim, token))"
    ],
    [
      "finds claims in lists",
      "return value === claim.Value",
      "return Array.isArray(value) ? value.includes(claim.Value) : value === claim.Value"
    ]
  ]),
  ...mutants("Verdict", [
    [
      "takes the opposite of unknown for yes",
      "verdict === Unknown ? Unknown : verdict === Yes ? No : Yes",
      "verdict === Yes ? No : Yes"
    ]
  ]),
  ...mutants("ForwardedClientCert", [
    [
      "believes the last identity in the header",
      "if (pair[4] !== \";\") return uri",
      "if (pair[4] === \"\") return uri"
    ]
  ])
]
