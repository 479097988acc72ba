/**
 * Text in Markdown, as GitHub and GitLab read it in comments. Names and messages come from a policy, which anybody may have
 * written: they never become markup, a link, a mention of a user, or another column of the table.
 */

/** A sentence. */
export const text = (value: string): string =>
  // Mentions and references are looked for in what is shown, so that a comment has to part them.
  entities(value).replace(/&#(?:64|35);/g, (found) => `${found}<!-- -->`)

/** A name, a path or a request, letter by letter. Backticks do where nothing in it could end them, or the cell. */
export const code = (value: string): string => {
  const line = oneLine(value)
  return /^[^\s`|\\](?:[^`|\\]*[^\s`|\\])?$/.test(line) ? `\`${line}\`` : `<code>${entities(line)}</code>`
}

/** Nothing but letters, digits, spaces and harmless signs stays as it is. */
const entities = (value: string): string =>
  oneLine(value).replace(
    /[!-/:-@[-`{-~]/g,
    (character) => ",'()/-".includes(character) ? character : `&#${character.charCodeAt(0)};`
  )

/** Cells are Markdown already. */
export const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [header, header.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

/** Folded away, under a sentence. */
export const details = (summary: string, body: string): string =>
  `<details><summary>${text(summary)}</summary>\n\n${body}\n\n</details>`

/** Sentences that must not be overlooked. */
export const warning = (sentences: ReadonlyArray<string>): ReadonlyArray<string> =>
  sentences.length === 0 ? [] : [["> [!WARNING]", ...sentences.map((each) => `> - ${text(each)}`)].join("\n")]

// eslint-disable-next-line no-control-regex -- control characters are what it takes out
const oneLine = (value: string): string => value.replace(/[\0-\x1f\x7f\u0085\u2028\u2029]+/g, " ")
