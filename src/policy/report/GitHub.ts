/**
 * Annotations of GitHub Actions: lines on standard output that the runner turns into marks beside the changed files. A line break
 * in a text would let it say a command of its own, so that everything that ends or divides one is written as `%0A` and its like.
 * (`actions/toolkit`, `packages/core/src/command.ts`.)
 */
import * as Notice from "../Notice.ts"

export const format = (notices: ReadonlyArray<Notice.Notice>, setting: Notice.Setting): string =>
  [
    ...setting.remarks.map((remark) => command(setting.complete ? "warning" : "error", { title: "policy" }, remark)),
    ...notices.filter(({ silenced }) => silenced === undefined).map((notice) => {
      const { level, message, rule, subject } = notice
      const place = Notice.placeOf(notice)
      return command(
        commands[level],
        place === undefined
          ? { title: rule }
          : { file: Notice.pathOf(place.file, setting.base), line: place.line, col: place.column, title: rule },
        `${subject}: ${message}`
      )
    }),
    Notice.count(notices)
  ].join("\n")

const commands: { readonly [L in Notice.Level]: string } = { error: "error", warning: "warning", note: "notice" }

const command = (name: string, properties: { readonly [key: string]: string | number }, message: string): string =>
  `::${name} ${
    Object.entries(properties).map(([key, value]) => `${key}=${escapeProperty(String(value))}`).join(",")
  }::${escape(message)}`

const escape = (text: string): string => text.replace(/[%\r\n]/g, percent)

const escapeProperty = (text: string): string => text.replace(/[%\r\n:,]/g, percent)

const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
