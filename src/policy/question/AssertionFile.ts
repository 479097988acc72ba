/**
 * The file that `verify` and `lint` are given: statements about a policy, and what to make of findings. Its JSON schema is
 * published with the package, for editors. What is wrong in it is told with file, line and column.
 */
import { Result, Schema, SchemaAST, SchemaIssue } from "effect"
import * as Assertion from "./Assertion.ts"
import * as Document from "../source/Document.ts"
import * as Lint from "./Lint.ts"
import * as Nearest from "../Nearest.ts"
import * as Origin from "../Origin.ts"
import * as Json from "../syntax/Json.ts"
import * as Node from "../syntax/Node.ts"

const name = (description: string) => Schema.NonEmptyString.annotate({ description })

const Silence = Schema.Struct({
  rule: Schema.Literals(Lint.rules.map(({ id }) => id)).annotate({ description: "The rule whose finding it is." }),
  source: Schema.optionalKey(name("The source of the intention, as it is written there. Absent: any.")),
  destination: Schema.optionalKey(name("The destination of the intention, as it is written there. Absent: any.")),
  permission: Schema.optionalKey(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)).annotate({
      description: "Which permission of the intention, from 1. Absent: any."
    })
  ),
  reason: Schema.String.check(Schema.isPattern(/\S/, {
    message: "say why: a silencing has a reason",
    toJsonSchema: () => [{ pattern: "\\S" }, true]
  })).annotate({
    description: "Why the finding is no fault. It is shown wherever silenced findings are."
  })
})

const levels = Schema.Struct(
  Object.fromEntries(
    Lint.rules.map(({ id, level, summary }) => [
      id,
      Schema.optionalKey(
        Schema.Literals(["error", "warning", "note", "off"]).annotate({ description: `${summary}. Default: ${level}.` })
      )
    ])
  ) as {
    readonly [R in Lint.RuleId]: Schema.optionalKey<Schema.Literals<readonly ["error", "warning", "note", "off"]>>
  }
)

export const AssertionFile = Schema.Struct({
  $schema: Schema.optionalKey(Schema.String.annotate({ description: "Where the JSON schema of this file is." })),
  assertions: Schema.optionalKey(
    Schema.Array(Assertion.Assertion).check(
      Schema.isMinLength(1, { message: "there is no statement in the list; write one, or remove the field" })
    ).annotate({ description: "Statements, each proved or refuted by `effect-mesh policy verify`." })
  ),
  lint: Schema.optionalKey(
    Schema.Struct({
      rules: Schema.optionalKey(levels.annotate({ description: "How much the findings of a rule weigh." })),
      silence: Schema.optionalKey(
        Schema.Array(Silence).annotate({ description: "Findings that are no fault, each with the reason." })
      )
    }).annotate({ description: "What `effect-mesh policy lint` and `explain` make of findings." })
  )
}).annotate({ title: "Statements about the policy of a service mesh, for effect-mesh" })

export interface Content {
  readonly assertions: ReadonlyArray<Assertion.Assertion>
  readonly lint: Lint.Config
}

/** All problems, or what the file says; statements and silencings know where they stand. */
export const read = (file: string, text: string): Result.Result<Content, ReadonlyArray<Document.Problem>> => {
  const document = new Document.Document(file, text, Json.parse(text))
  const [root, second] = document.roots
  if (second !== undefined) document.problem(second.offset, "all statements stand in one object; merge the two")
  if (root === undefined || document.problems.length > 0) return Result.fail(document.problems)
  const decoded = decode(Node.toValue(root))
  if (Result.isFailure(decoded)) {
    for (const { message, path } of issuesOf(decoded.failure.issue)) {
      document.problem(nearest(root, path), message)
    }
    return Result.fail(document.problems)
  }
  const { assertions = [], lint } = decoded.success
  const mark = <A extends object>(list: ReadonlyArray<A>, ...path: ReadonlyArray<string>) =>
    list.map((each, i) => Origin.mark(each, document.place(nearest(root, [...path, i]))))
  return Result.succeed({
    assertions: mark(assertions, "assertions"),
    lint: { levels: lint?.rules ?? {}, silences: mark(lint?.silence ?? [], "lint", "silence") }
  })
}

const decode = Schema.decodeUnknownResult(AssertionFile, { onExcessProperty: "error", errors: "all" })

interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

const issuesOf = (issue: SchemaIssue.Issue): ReadonlyArray<Issue> =>
  format(issue).issues.map(({ message, path = [] }) => {
    const keys = path.map((step) => typeof step === "object" ? step.key : step)
    const last = String(keys.at(-1))
    const known = fieldsAt(AssertionFile.ast, keys.slice(0, -1))
    if (message === "Missing key") return { path: keys.slice(0, -1), message: `the field ${last} is missing` }
    if (message === "Expected no excess property") {
      return {
        path: keys,
        message: `the field ${last} is not known${Nearest.ask(last, known)}${
          Nearest.find(last, known) === undefined ? `; known are ${known.join(", ")}` : ""
        }`
      }
    }
    return { path: keys, message: message.replace(/^Expected/, "expected") }
  })

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The fields that the object at this place may have. */
const fieldsAt = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): ReadonlyArray<string> => {
  const [step, ...rest] = path
  if (SchemaAST.isUnion(ast)) return ast.types.flatMap((type) => fieldsAt(type, path))
  if (SchemaAST.isArrays(ast)) return ast.rest.flatMap((type) => fieldsAt(type, rest))
  if (!SchemaAST.isObjects(ast)) return []
  return step === undefined
    ? ast.propertySignatures.map((each) => String(each.name)).filter((each) => each !== "$schema")
    : ast.propertySignatures.filter((each) => each.name === step).flatMap((each) => fieldsAt(each.type, rest))
}

/** Where this place is, or what is around it. Of a field it is the name. */
const nearest = (root: Node.Node, path: ReadonlyArray<PropertyKey>): number => {
  let node = root
  let { offset } = root
  for (const step of path) {
    const member = node.type === "object" ? node.members.find(({ key }) => key === step) : undefined
    const next = member?.value ?? (node.type === "list" ? node.items[Number(step)] : undefined)
    if (next === undefined) break
    node = next
    offset = member?.offset ?? next.offset
  }
  return offset
}

/** For editors. */
export const jsonSchema = (): object => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(AssertionFile, { onExcessProperty: "error" })
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...schema,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions })
  }
}
