/**
 * SARIF 2.1.0, which code scanners speak and CI systems show. What was silenced is in it, as suppressed and with the reason; what
 * could not be read makes the run an unsuccessful one. Fingerprints are made of names and not of lines, so that a notice stays
 * the same one when the file around it changes.
 */
import { createHash } from "node:crypto"
import { isAbsolute } from "node:path"
import { pathToFileURL } from "node:url"
import * as Notice from "../Notice.ts"
import type * as Origin from "../Origin.ts"

export const format = (
  rules: ReadonlyArray<Notice.Rule>,
  notices: ReadonlyArray<Notice.Notice>,
  setting: Notice.Setting
): string => JSON.stringify(make(rules, notices, setting), null, 2)

export const make = (
  rules: ReadonlyArray<Notice.Rule>,
  notices: ReadonlyArray<Notice.Notice>,
  { base, complete, remarks, version }: Notice.Setting
) => ({
  $schema: "https://json.schemastore.org/sarif-2.1.0.json",
  version: "2.1.0" as const,
  runs: [{
    tool: {
      driver: {
        name: "effect-mesh",
        version,
        rules: rules.map(({ help, id, level, summary }) => ({
          id,
          shortDescription: { text: summary },
          help: { text: help },
          defaultConfiguration: { level }
        }))
      }
    },
    columnKind: "utf16CodeUnits" as const,
    invocations: [{
      executionSuccessful: complete,
      toolExecutionNotifications: remarks.map((text) => ({
        level: complete ? "warning" as const : "error" as const,
        message: { text }
      }))
    }],
    results: notices.map((notice) => ({ notice, place: Notice.placeOf(notice) })).map(({ notice, place }) => ({
      ruleId: notice.rule,
      ruleIndex: rules.findIndex(({ id }) => id === notice.rule),
      level: notice.level,
      message: { text: `${notice.subject}: ${notice.message}` },
      locations: [{
        ...(place === undefined ? {} : { physicalLocation: physical(place, base) }),
        logicalLocations: [{ fullyQualifiedName: notice.subject }]
      }],
      ...(notice.related.length === 0 ? {} : {
        relatedLocations: notice.related.map(({ message, origin }, i) => ({
          id: i + 1,
          message: { text: message },
          physicalLocation: physical(origin, base)
        }))
      }),
      partialFingerprints: { "effectMesh/v1": fingerprint(notice) },
      ...(notice.silenced === undefined
        ? {}
        : { suppressions: [{ kind: "external" as const, justification: notice.silenced }] })
    }))
  }]
})

const physical = ({ column, file, line }: Origin.Origin, base: string) => {
  const path = Notice.pathOf(file, base)
  return {
    artifactLocation: {
      uri: isAbsolute(path) ? pathToFileURL(path).href : path.split("/").map(encodeURIComponent).join("/")
    },
    region: { startLine: line, startColumn: column }
  }
}

const fingerprint = ({ message, rule, subject }: Notice.Notice): string =>
  createHash("sha256").update(JSON.stringify([rule, subject, message])).digest("hex")
