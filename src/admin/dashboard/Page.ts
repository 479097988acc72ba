/**
 * The dashboard: one page that needs nothing else, no build step, no script, style or font from elsewhere. It shows what `/events`
 * tells.
 */
import * as Policy from "./Policy.ts"
import { script } from "./script.ts"
import { style } from "./style.ts"

const column = (id: string, title: string): string =>
  `<section class="column" id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title} <small id="${id}-count"></small> <small id="${id}-bad"></small></h2>
<ol class="rows" id="${id}-rows" role="listbox" aria-labelledby="${id}-title"></ol>
<p class="nobody" id="${id}-none" hidden></p>
</section>`

const clock = (id: string): string =>
  `<div class="clock" id="${id}"><svg viewBox="0 0 52 52" aria-hidden="true"><circle cx="26" cy="26" r="22"/>` +
  `<circle class="left" cx="26" cy="26" r="22"/></svg><b></b><small></small></div>`

const way = (id: string, label: string): string =>
  `<div class="way ${id}" id="${id}"><span class="label">${label}</span><span></span><span class="big"></span><span class="more"></span></div>`

/** Read by people and tools. */
const links = ["ready", "metrics", "connections", "certs", "intentions", "upstreams", "routes", "watches", "config"]

export const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>effect-mesh</title>
<style>${style}</style>
</head>
<body>
<header>
<div class="who"><h1 id="service">effect-mesh</h1><span id="state" class="pill" role="status">connecting</span><span id="audited" class="pill warn" hidden>audit: nothing is enforced</span><span id="identity" class="identity"></span></div>
<span id="pick" hidden><label>Sidecar <select id="sidecar"></select></label> <a href="/mesh">all together</a></span>
<input id="filter" type="search" placeholder="Filter by name" aria-label="Filter by name" autocomplete="off">
<div class="facts"><span>agent <b id="agent">–</b></span><span>log <b id="level">–</b></span><span>up <b id="uptime">–</b></span><span id="live" role="status">connecting</span></div>
</header>
<div id="problems" role="alert" hidden></div>
<main id="main" hidden>
<svg id="links" aria-hidden="true"></svg>
${column("callers", "Callers")}
<section id="center" aria-label="The service">
<h2><span id="middle"></span> <small id="protocol"></small></h2>
<p class="where" id="where"></p>
${way("in", "from callers")}
${way("out", "to upstreams")}
<svg id="chart" viewBox="0 0 100 100" preserveAspectRatio="none" role="img"><line class="axis" x1="0" x2="100" y1="50" y2="50"/>
<path class="in area"/><path class="in line"/><path class="out area"/><path class="out line"/></svg>
<div class="scale"><span>3 min ago</span><span id="top"></span><span>now</span></div>
</section>
${column("upstreams", "Upstreams")}
</main>
<div class="panels" id="panels" hidden>
<section class="panel" aria-labelledby="certs-title"><h2 id="certs-title">Certificates</h2>
${clock("leaf")}
${clock("root")}
</section>
<section class="panel" aria-labelledby="refusals-title"><h2 id="refusals-title">Refusals <small id="refusals-count"></small></h2><div id="refusals-list"></div></section>
<section class="panel" aria-labelledby="watches-title"><h2 id="watches-title">Watches <small id="watches-state"></small></h2>
<ul class="stale" id="stale"></ul><div class="kinds" id="watches-kinds"></div></section>
</div>
<footer><span>effect-mesh <span id="version"></span></span>${
  links.map((name) => `<a href="/${name}">/${name}</a>`).join("")
}<span class="keys"><kbd>/</kbd> filter <kbd>↑</kbd><kbd>↓</kbd><kbd>←</kbd><kbd>→</kbd> move <kbd>Enter</kbd> details <kbd>Esc</kbd> close</span></footer>
<aside id="detail" role="dialog" aria-labelledby="detail-title" hidden>
<header><h2 id="detail-title" tabindex="-1"></h2><button type="button" id="detail-close">Close</button></header>
<div id="detail-body"></div>
</aside>
<script>${script}</script>
</body>
</html>
`

export const headers = Policy.headers({ script, style })
