/** The page of a whole mesh: who calls whom, and who may. Where intentions can be changed, they are changed here. */
import { meshScript as script } from "./meshScript.ts"
import { meshStyle as style } from "./meshStyle.ts"
import * as Policy from "./Policy.ts"

const arrow = (state: string): string =>
  `<marker id="arrow${
    state === "" ? "" : `-${state}`
  }" class="${state}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker>`

export const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>The mesh · effect-mesh</title>
<style>${style}</style>
</head>
<body>
<header>
<div class="who"><h1>The mesh</h1><span id="state" class="pill" role="status">connecting</span><span id="count" class="identity"></span></div>
<div class="facts"><span>agent <b id="agent">–</b></span><a href="/">one sidecar at a time</a><span id="live" role="status">connecting</span></div>
</header>
<main id="main" class="mesh" hidden>
<section class="graph" id="graph" aria-label="Who calls whom">
<div id="canvas"><svg id="edges" aria-hidden="true"><defs>${
  ["", "ok", "warn", "bad"].map(arrow).join("")
}</defs></svg></div>
</section>
<section class="column matrix" aria-labelledby="matrix-title">
<h2 id="matrix-title">Who may call whom <small>callers down, services across</small></h2>
<table id="cells"></table>
<div class="legend"><span><i class="cell allow">✓</i> allowed</span><span><i class="cell requests">◐</i> some requests</span><span><i class="cell deny">✗</i> denied</span><span><i class="cell allow used">✓</i> in use</span><span><i class="cell deny tried">✗</i> tried</span></div>
</section>
</main>
<div class="below" id="below" hidden><section class="panel" id="news" aria-labelledby="news-title"><h2 id="news-title">What happens</h2>
<p class="quiet" id="news-none">Changes of intentions, refusals and cut connections appear here.</p><ol id="news-list" aria-live="polite"></ol></section></div>
<footer><span>effect-mesh <span id="version"></span></span><a href="/graph">/graph</a><a href="/metrics">/metrics</a><a href="/intentions">/intentions</a>
<span class="keys"><kbd>↑</kbd><kbd>↓</kbd><kbd>←</kbd><kbd>→</kbd> move <kbd>Enter</kbd> choose <kbd>Esc</kbd> close</span></footer>
<aside id="detail" role="dialog" aria-labelledby="detail-title" hidden>
<header><h2 id="detail-title" tabindex="-1"></h2><button type="button" id="detail-close">Close</button></header>
<p id="verdict"></p>
<p class="quiet" id="now"></p>
<div class="choices" id="choices"><button type="button" data-action="allow">Allow</button><button type="button" data-action="deny">Deny</button>
<button type="button" data-action="remove">Remove the intention</button></div>
<p class="quiet" id="permissions" hidden>It has permissions for single requests, which this replaces.</p>
<p class="quiet" id="fixed" hidden>Intentions can be changed here only in a mesh of <code>effect-mesh up</code> under its development agent.</p>
<p id="outcome" role="status"></p>
</aside>
<script>${script}</script>
</body>
</html>
`

export const headers = Policy.headers({ script, style })
