/** What the page of the mesh has besides the looks of the dashboard. */
import { style } from "./style.ts"

export const meshStyle = `${style}
main.mesh { display: grid; grid-template-columns: minmax(0, 1fr) minmax(300px, max-content); column-gap: 18px; padding: 12px 18px; align-items: stretch; }
.graph { position: relative; overflow: auto; min-height: 300px; scrollbar-width: thin; }
#canvas { transform-origin: 0 0; position: absolute; inset: 0; }
.graph svg { position: absolute; left: 0; top: 0; pointer-events: none; overflow: visible; }
.graph path { fill: none; stroke: var(--idle); stroke-width: 1.4; } .graph path.ok { stroke: var(--ok); } .graph path.warn { stroke: var(--warn); }
.graph path.bad { stroke: var(--bad); stroke-dasharray: 4 5; } .graph path.flow { stroke-dasharray: 7 5; animation: flow 1s linear infinite; }
@media (prefers-reduced-motion: reduce) { .graph path.flow { animation: none; stroke-dasharray: none; } }
.graph marker path { stroke: none; fill: var(--idle); } .graph marker.ok path { fill: var(--ok); } .graph marker.bad path { fill: var(--bad); }
.graph marker.warn path { fill: var(--warn); }
.label { position: absolute; transform: translate(-50%, -50%); font-size: 11px; padding: 0 6px; border-radius: 8px; background: var(--back);
  color: var(--soft); white-space: nowrap; pointer-events: none; } .label.bad { color: var(--bad); font-weight: 600; } .label.ok { color: var(--ok); font-weight: 600; }
.node { position: absolute; width: 140px; height: 54px; display: block; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--idle);
  border-radius: 8px; padding: 6px 10px; text-decoration: none; color: var(--text); overflow: hidden; box-shadow: 0 1px 2px rgb(0 0 0 / .07); }
.node.ok { border-left-color: var(--ok); } .node.bad { border-left-color: var(--bad); }
.node b { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .node small { white-space: nowrap; }
.matrix { overflow: auto; scrollbar-width: thin; padding-right: 4px; min-width: 0; }
.matrix table { width: auto; align-self: start; } .matrix th, .matrix td { border: 0; padding: 2px; } .matrix th[scope=row] { text-align: right; padding-right: 8px; font-weight: 600; color: var(--text); white-space: nowrap; vertical-align: middle; }
.matrix th[scope=col] { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; font-weight: 600; color: var(--text); max-height: 130px; white-space: nowrap; }
.cell { width: 34px; height: 28px; padding: 0; border-radius: 6px; font-weight: 700; cursor: pointer; line-height: 1; }
.cell.allow { background: var(--good-back); color: var(--ok); } .cell.deny { background: var(--card); color: var(--soft); }
.cell.requests { background: var(--warn-back); color: var(--warn); } .cell.tried { background: var(--bad-back); color: var(--bad); border-color: var(--bad); }
.cell.used { border: 2px solid var(--ok); } .cell[aria-expanded=true] { outline: 2px solid var(--mark); outline-offset: 1px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; color: var(--soft); font-size: 12px; margin: 8px 0; align-items: center; }
.legend .cell { width: 20px; height: 18px; display: inline-grid; place-items: center; font-size: 12px; border: 1px solid var(--line); cursor: default; }
.choices { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 12px; } .choices button { cursor: pointer; padding: 6px 14px; font-weight: 600; }
.choices button[data-action=allow] { color: var(--ok); border-color: var(--ok); } .choices button[data-action=deny] { color: var(--bad); border-color: var(--bad); }
.choices button:disabled { opacity: .45; cursor: default; }
.mesh ~ aside { inset: auto 18px 52px auto; width: min(440px, calc(100% - 36px)); border: 1px solid var(--line); border-radius: 10px; }
#news { height: 150px; } #news ol { display: grid; gap: 3px; } #news time { color: var(--soft); font-size: 12px; margin-right: 8px; }
.below { padding: 0 18px 10px; } .below .panel { height: 150px; }
@media (max-width: 900px) { main.mesh { display: block; } .graph { height: 60vh; } }
`
