/**
 * The matrix as one HTML page that needs nothing else: no script, style or font from elsewhere, so that it can be mailed or
 * kept beside the policy. The picture is drawn on a canvas, because a hundred services make ten thousand cells.
 */
import * as Matrix from "./Matrix.ts"
import { script, style } from "./pageAssets.ts"

export const render = (matrix: Matrix.Matrix, defaultPolicy: "allow" | "deny"): string => {
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
<body>
<header>
<h1>Who can reach whom</h1>
<p>Callers down, services across. Default policy: <b>${defaultPolicy}</b>. Exact for all requests.</p>
${matrix.remarks.map((remark) => `<p class="remark" role="alert">${text(remark)}</p>`).join("\n")}
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
<script type="application/json" id="data">${embed(Matrix.toJson(matrix))}</script>
<script>${script}</script>
</body>
</html>
`
}

const text = (value: string): string => value.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)

/** No text of a policy may end the element that it stands in. */
const embed = (data: unknown): string =>
  JSON.stringify(data).replace(
    /[<>\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
