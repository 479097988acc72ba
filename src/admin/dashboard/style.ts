/** How the dashboard looks, in light and dark, wide and narrow. Colours never stand alone: a word or a shape says the same. */
export const style = `
:root { color-scheme: light dark; --back: #f5f6f8; --card: #fff; --text: #1b212b; --soft: #5b6574; --line: #dfe3e9;
  --ok: #177a4b; --warn: #946200; --bad: #c62f2f; --in: #2159c7; --out: #7a3bc4; --idle: #aeb6c2; --mark: #2159c7;
  --good-back: #e2f4ea; --warn-back: #fbf0d5; --bad-back: #fce6e4; }
@media (prefers-color-scheme: dark) { :root { --back: #0f1318; --card: #171c23; --text: #e6eaf0; --soft: #97a2b1; --line: #2a313b;
  --ok: #46c088; --warn: #dfab3a; --bad: #ff7b70; --in: #6ea6ff; --out: #bd93f5; --idle: #4b5563; --mark: #6ea6ff;
  --good-back: #143325; --warn-back: #3a2e10; --bad-back: #451d1b; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; }
body { margin: 0; display: flex; flex-direction: column; background: var(--back); color: var(--text);
  font: 14px/1.4 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1, h2, h3, p, ol, ul { margin: 0; padding: 0; }
ol, ul { list-style: none; }
small { color: var(--soft); font-size: 12px; font-weight: 400; }
button, input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 4px 9px; }
a { color: var(--mark); }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 16px; padding: 10px 18px; background: var(--card);
  border-bottom: 1px solid var(--line); }
h1 { font-size: 19px; line-height: 1.2; }
header .who { display: flex; align-items: center; gap: 10px; min-width: 0; }
header .identity { color: var(--soft); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 44ch; }
header .facts { margin-left: auto; display: flex; flex-wrap: wrap; gap: 2px 16px; color: var(--soft); font-size: 13px; }
header .facts b { color: var(--text); font-weight: 600; } header .facts b.new { color: var(--bad); }
.pill { border-radius: 20px; padding: 2px 11px; font-weight: 600; font-size: 13px; background: var(--line); white-space: nowrap; }
.pill.ok { background: var(--good-back); color: var(--ok); } .pill.warn { background: var(--warn-back); color: var(--warn); }
.pill.bad { background: var(--bad-back); color: var(--bad); }
#problems { padding: 8px 18px; background: var(--bad-back); color: var(--text); border-bottom: 1px solid var(--bad); }
#problems li::before { content: "▲ "; color: var(--bad); }
main { position: relative; display: grid; grid-template-columns: minmax(230px, 1fr) minmax(270px, 350px) minmax(230px, 1fr); column-gap: clamp(40px, 6vw, 110px);
  grid-template-rows: minmax(0, 1fr); padding: 12px 18px; flex: 1; min-height: 330px; }
#links { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
#links path { fill: none; stroke: var(--idle); stroke-opacity: .55; }
#links path.ok { stroke: var(--ok); stroke-opacity: .8; } #links path.warn { stroke: var(--warn); stroke-opacity: .9; }
#links path.bad { stroke: var(--bad); stroke-opacity: .9; } #links path.refused { stroke-dasharray: 3 5; }
#links path.flow { stroke-dasharray: 7 5; animation: flow 1s linear infinite; }
@keyframes flow { to { stroke-dashoffset: -12; } }
@media (prefers-reduced-motion: reduce) { #links path.flow { animation: none; stroke-dasharray: none; } }
.column { display: flex; flex-direction: column; min-height: 0; min-width: 0; }
.column h2, .panel h2 { font-size: 13px; font-weight: 600; margin-bottom: 6px; display: flex; gap: 8px; align-items: baseline; }
.column h2 small:last-child { margin-left: auto; }
.rows { overflow-y: auto; display: flex; flex-direction: column; gap: 6px; min-height: 0; padding: 2px; scrollbar-width: thin; margin-block: auto; width: 100%; }
.rows.full { margin-block: 0; } .rows:empty { display: none; }
.row { position: relative; display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 10px; align-items: center; background: var(--card);
  border: 1px solid var(--line); border-left: 4px solid var(--idle); border-radius: 7px; padding: 5px 10px; cursor: pointer; flex: none; }
#upstreams .row { border-left-width: 1px; border-right: 4px solid var(--idle); }
.row.ok { border-left-color: var(--ok); } .row.warn { border-left-color: var(--warn); } .row.bad { border-left-color: var(--bad); }
#upstreams .row.ok { border-left-color: var(--line); border-right-color: var(--ok); }
#upstreams .row.warn { border-left-color: var(--line); border-right-color: var(--warn); }
#upstreams .row.bad { border-left-color: var(--line); border-right-color: var(--bad); }
.row[aria-selected=true] { background: color-mix(in srgb, var(--mark) 12%, var(--card)); }
.row .name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row .says { grid-column: 1; color: var(--soft); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row .fault { grid-column: 1 / -1; font-size: 12px; color: var(--bad); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row.warn .fault { color: var(--warn); } .row.idle .fault { color: var(--soft); }
.row svg { grid-row: 1 / 3; grid-column: 2; width: 72px; height: 26px; }
.rows.dense { gap: 3px; } .dense .row { padding: 1px 10px; grid-template-columns: minmax(8ch, auto) minmax(0, 1fr) auto; }
.dense .row .says { grid-column: 2; grid-row: 1; text-align: right; } .dense .row .fault { grid-column: 2; grid-row: 1; text-align: right; }
.dense .row.faulty .says { display: none; }
.dense .row svg { grid-row: 1; grid-column: 3; height: 18px; width: 44px; }
svg .area { stroke: none; fill-opacity: .25; } svg .line { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.spark .area { fill: var(--in); } .spark .line { stroke: var(--in); } #upstreams .spark .area { fill: var(--out); }
#upstreams .spark .line { stroke: var(--out); }
.nobody { color: var(--soft); margin-block: auto; text-align: center; }
#center { align-self: center; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; min-width: 0;
  box-shadow: 0 1px 3px rgb(0 0 0 / .08); max-height: 100%; overflow-y: auto; scrollbar-width: thin; }
#center h2 { font-size: 17px; display: flex; gap: 8px; align-items: baseline; overflow-wrap: anywhere; }
#center .where { color: var(--soft); font-size: 12px; margin: 2px 0 10px; overflow-wrap: anywhere; }
.way { display: grid; grid-template-columns: 1fr auto; margin-top: 8px; }
.way .label { color: var(--soft); font-size: 12px; } .way.in .label::before { content: "● "; color: var(--in); }
.way.out .label::before { content: "● "; color: var(--out); }
.way .big { font-size: 22px; font-weight: 600; line-height: 1.2; white-space: nowrap; } .way .big small { font-weight: 500; } .way .more { text-align: right; color: var(--soft); font-size: 12px; }
.way .more b { color: var(--text); font-weight: 600; }
#chart { width: 100%; height: 84px; margin-top: 10px; display: block; }
#chart .in.area { fill: var(--in); } #chart .in.line { stroke: var(--in); } #chart .out.area { fill: var(--out); } #chart .out.line { stroke: var(--out); }
#chart .axis { stroke: var(--line); vector-effect: non-scaling-stroke; }
.scale { display: flex; justify-content: space-between; color: var(--soft); font-size: 11px; }
.panels { display: grid; grid-template-columns: 300px minmax(0, 1.2fr) minmax(0, 1fr); gap: 12px; padding: 0 18px 10px; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 9px; padding: 10px 14px; height: 204px; overflow-y: auto; scrollbar-width: thin; min-width: 0; }
.clock { display: grid; grid-template-columns: 52px 1fr; gap: 0 12px; align-items: center; margin-top: 8px; }
.clock svg { width: 52px; height: 52px; grid-row: 1 / 3; transform: rotate(-90deg); } .clock circle { fill: none; stroke-width: 7; stroke: var(--line); }
.clock circle.left { stroke: var(--ok); } .clock.warn circle.left { stroke: var(--warn); } .clock.bad circle.left { stroke: var(--bad); }
.clock b { align-self: end; } .clock small { align-self: start; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } th { text-align: left; color: var(--soft); font-weight: 500; font-size: 12px; }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; } tr:last-child td { border-bottom: 0; }
.new { color: var(--bad); font-weight: 600; }
.kinds { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 4px 10px; align-items: center; font-size: 12px; }
.cells { display: flex; flex-wrap: wrap; gap: 2px; } .cells i { width: 9px; height: 9px; border-radius: 2px; background: var(--ok); }
.cells i.bad { background: var(--bad); border-radius: 50%; } .cells i.waits { background: none; border: 1.5px solid var(--idle); }
.cells.tiny { gap: 1px; } .cells.tiny i { width: 5px; height: 5px; border-radius: 1px; }
.stale { color: var(--bad); font-size: 12px; margin-bottom: 6px; overflow-wrap: anywhere; } .stale li::before { content: "▲ "; }
.quiet { color: var(--soft); }
footer { padding: 6px 18px; border-top: 1px solid var(--line); font-size: 12px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 2px 14px; }
footer kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; background: var(--card); font: inherit; }
footer .keys { margin-left: auto; }
aside { position: fixed; inset: 0 0 0 auto; width: min(480px, 100%); background: var(--card); border-left: 1px solid var(--line); padding: 14px 18px;
  overflow-y: auto; box-shadow: -8px 0 24px rgb(0 0 0 / .18); z-index: 2; }
aside header { padding: 0; border: 0; margin-bottom: 8px; flex-wrap: nowrap; } aside header button { margin-left: auto; }
aside h3 { font-size: 13px; margin: 16px 0 4px; color: var(--soft); font-weight: 600; } aside h2 { overflow-wrap: anywhere; font-size: 17px; }
.tag { display: inline-block; border-radius: 10px; padding: 0 8px; font-size: 12px; font-weight: 600; background: var(--line); white-space: nowrap; }
.tag.ok { background: var(--good-back); color: var(--ok); } .tag.warn { background: var(--warn-back); color: var(--warn); }
.tag.bad { background: var(--bad-back); color: var(--bad); }
body.lost main, body.lost .panels { opacity: .45; filter: grayscale(1); }
@media (max-width: 900px) { body { display: block; height: auto; } html { height: auto; } main { display: flex; flex-direction: column; gap: 14px; }
  #center { order: -1; align-self: stretch; } #links { display: none; } .rows { max-height: 50vh; } .panels { grid-template-columns: 1fr; }
  .panel { height: auto; max-height: 320px; } header .facts { margin-left: 0; } }
`
