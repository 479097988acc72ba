/**
 * The matrix as one HTML page that needs nothing else: no script, style or font from elsewhere, so that it can be mailed or
 * kept beside the policy. The picture is drawn on a canvas, because a hundred services make ten thousand cells.
 */
import * as Explanation from "../question/Explanation.ts"
import * as Lint from "../question/Lint.ts"
import * as Matrix from "../question/Matrix.ts"
import type * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import * as Notice from "../Notice.ts"
import * as Origin from "../Origin.ts"
import { script, style } from "./pageAssets.ts"

export interface Content {
  readonly mesh: Mesh.Mesh
  readonly matrix: Matrix.Matrix
  readonly findings: ReadonlyArray<Lint.Finding>
  /** Where the policy was read. */
  readonly source: string
  /** When, as ISO 8601 has it. */
  readonly date: string
}

export const render = ({ date, findings, matrix, mesh, source }: Content): string => {
  const notices = findings.map(Lint.toNotice).sort(Notice.compare)
  const total = Matrix.counts(matrix)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${matrix.incomplete ? "INCOMPLETE: " : ""}Who can reach whom</title>
<style>${style}</style>
</head>
<body data-view="matrix">
<header>
<h1>Who can reach whom</h1>
<p>Callers down, services across. Default policy: <b>${mesh.policy.defaultPolicy}</b>. Exact for all requests. Policy of
<b>${text(source)}</b>, read <time datetime="${text(date)}">${
    text(date.replace("T", " ").replace(/\..*/, " UTC"))
  }</time>.</p>
${matrix.remarks.map((remark) => `<p class="remark" role="alert">${text(remark)}</p>`).join("\n")}
<nav><button type="button" data-view="matrix" aria-pressed="true">Matrix</button><button type="button" data-view="problems"
aria-pressed="false">Worth a look (${notices.length})</button><button type="button" data-view="requests"
aria-pressed="false">Rules and requests</button></nav>
<div class="bar">
<input id="filter" type="search" placeholder="Filter by name" aria-label="Filter by name" autofocus>
<label><input type="checkbox" data-verdict="allow" checked><i class="allow"></i>allowed ${total.allow}</label>
<label><input type="checkbox" data-verdict="some" checked><i class="some"></i>some requests ${total.some}</label>
<label><input type="checkbox" data-verdict="deny" checked><i class="deny"></i>denied ${total.deny}</label>
${
    total.undecided === 0
      ? ""
      : `<label><input type="checkbox" data-verdict="undecided" checked><i class="undecided"></i>not decided ${total.undecided}</label>`
  }
<span id="shown"></span>
</div>
</header>
<main>
<div id="picture" tabindex="0" role="grid" aria-label="Matrix; arrow keys move, Enter shows the rules"><canvas id="canvas"></canvas></div>
<aside id="rules" aria-live="polite"><p>Click a cell: the rules behind it appear here.</p></aside>
</main>
<section id="problems" class="list">
<h2>Worth a look</h2>
${notices.length === 0 ? "<p>Nothing was found.</p>" : problems(notices)}
</section>
<section id="requests" class="list">
<h2>Rules, and a smallest request for each thing that can happen</h2>
${matrix.destinations.map((destination) => requests(Explanation.make(mesh, destination), matrix)).join("\n")}
</section>
<script type="application/json" id="data">${embed(Matrix.toJson(matrix))}</script>
<script>${script}</script>
</body>
</html>
`
}

const problems = (notices: ReadonlyArray<Notice.Notice>): string =>
  table(
    ["Level", "Rule", "About", "What", "Where"],
    notices.map(({ level, message, origin, rule, silenced, subject }) => [
      `<span class="level ${level}">${level}</span>`,
      `<code>${text(rule)}</code>`,
      text(subject),
      `${text(message)}${silenced === undefined ? "" : `<br><i class="why">silenced: ${text(silenced)}</i>`}`,
      origin === undefined ? "" : `<code>${text(Origin.format(origin))}</code>`
    ])
  )

const requests = (explanation: Explanation.Explanation, { callers }: Matrix.Matrix): string => {
  const shown = new Set(callers.map(({ label }) => label))
  const groups = explanation.groups.map((group) => ({
    names: group.callers.filter((name) => shown.has(name)),
    reason: Matrix.toReason(group.cell)
  })).filter(({ names }) => names.length > 0)
  return `<h3>${text(explanation.destination.label)} <small>${text(explanation.protocol.protocol)}</small></h3>
${
    table(
      ["Callers", "Verdict", "Why", "Smallest requests"],
      groups.map(({ names, reason }) => [
        text(Names.few(names)),
        `<span class="tag ${reason.verdict}">${words[reason.verdict]}</span>`,
        reason.permissions === undefined
          ? text(reason.because)
          : `${text(reason.rule ?? "")}<ol>${reason.permissions.map((each) => `<li>${text(each)}</li>`).join("")}</ol>`,
        reason.examples === undefined
          ? "every request"
          : `<ul>${
            reason.examples.map(({ allowed, because, request }) =>
              `<li><code>${text(request)}</code><br>${allowed ? "✓" : "✗"} ${text(because)}</li>`
            ).join("")
          }</ul>`
      ])
    )
  }`
}

const words: { readonly [V in Matrix.Verdict]: string } = {
  allow: "allowed",
  deny: "denied",
  some: "some requests",
  undecided: "not decided"
}

/** Cells are HTML already. */
const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  `<table><thead><tr>${header.map((each) => `<th>${each}</th>`).join("")}</tr></thead><tbody>${
    rows.map((row) => `<tr>${row.map((each) => `<td>${each}</td>`).join("")}</tr>`).join("\n")
  }</tbody></table>`

const text = (value: string): string => value.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)

/** No text of a policy may end the element that it stands in. */
const embed = (data: unknown): string =>
  JSON.stringify(data).replace(
    /[<>\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
