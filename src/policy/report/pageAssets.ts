/** Style and script of the page. The script reads the JSON of `Matrix.toJson` and writes names as text, never as HTML. */

export const style = `
:root { color-scheme: light dark; --back: #fff; --text: #1d2330; --soft: #667085; --line: #e3e6ec; --panel: #f6f7f9;
  --allow: #1a7f5a; --some: #e0a100; --deny: #eceff3; --undecided: #8e44ad; --mark: #2563eb; --wrong: #b42318; --warn: #8a5a00; }
@media screen and (prefers-color-scheme: dark) { :root { --back: #14171d; --text: #e6e9ef; --soft: #98a2b3; --line: #2b303a;
  --panel: #1b1f27; --allow: #2fa377; --some: #e3b341; --deny: #232831; --undecided: #b07cd0; --mark: #7aa7ff; --wrong: #ff8b80; --warn: #e3b341; } }
* { box-sizing: border-box; }
html, body { height: 100%; }
body { margin: 0; display: flex; flex-direction: column; background: var(--back); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; }
header { padding: 14px 20px 10px; border-bottom: 1px solid var(--line); }
h1 { font-size: 18px; margin: 0; }
header p { margin: 2px 0 10px; color: var(--soft); }
header p.remark { padding: 6px 10px; border: 2px solid; color: inherit; font-weight: 600; }
.bar { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center; }
input[type=search] { font: inherit; padding: 5px 10px; width: 240px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--back); color: inherit; }
label { display: flex; gap: 6px; align-items: center; cursor: pointer; }
i { width: 12px; height: 12px; border-radius: 3px; display: inline-block; border: 1px solid var(--line); }
i.allow { background: var(--allow); } i.some { background: linear-gradient(135deg, var(--some) 50%, var(--deny) 50%); }
i.deny { background: var(--deny); } i.undecided { background: var(--undecided); }
#shown { color: var(--soft); margin-left: auto; }
main { flex: 1; display: flex; min-height: 0; }
#picture { flex: 1; overflow: auto; outline: none; min-width: 0; }
#picture:focus-visible { box-shadow: inset 0 0 0 2px var(--mark); }
canvas { display: block; cursor: crosshair; }
aside { width: 380px; flex: none; overflow: auto; padding: 16px 18px; background: var(--panel);
  border-left: 1px solid var(--line); overflow-wrap: anywhere; }
aside h2 { font-size: 15px; margin: 0 0 6px; } aside h3 { font-size: 13px; margin: 14px 0 4px; color: var(--soft); }
aside p { margin: 4px 0; } aside ol, aside ul { margin: 4px 0; padding-left: 22px; } aside li { margin: 4px 0; }
.tag { display: inline-block; padding: 1px 8px; border-radius: 10px; color: #fff; font-weight: 600; font-size: 12px; }
.tag.allow { background: var(--allow); } .tag.some { background: var(--some); color: #1d2330; }
.tag.deny { background: #b42318; } .tag.undecided { background: var(--undecided); }
nav { display: flex; gap: 4px; margin: 0 0 10px; }
nav button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 6px;
  padding: 4px 12px; cursor: pointer; }
nav button[aria-pressed=true] { background: var(--panel); border-color: var(--mark); }
.list { flex: 1; overflow: auto; padding: 4px 20px 20px; }
.list h2 { font-size: 16px; margin: 14px 0 8px; } .list h3 { font-size: 14px; margin: 18px 0 4px; }
.list small { color: var(--soft); font-weight: 400; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { min-width: 70px; } .tag, .level { white-space: nowrap; }
#requests table { table-layout: fixed; } #requests th:nth-child(1) { width: 20%; } #requests th:nth-child(2) { width: 120px; }
#requests th:nth-child(3) { width: 30%; }
table ol, table ul { margin: 0; padding-left: 20px; }
.level { font-weight: 600; } .level.error { color: var(--wrong); } .level.warning { color: var(--warn); }
i.why { all: unset; font-style: italic; color: var(--soft); }
body[data-view=matrix] .list, body[data-view=problems] main, body[data-view=problems] #requests,
body[data-view=requests] main, body[data-view=requests] #problems, body:not([data-view=matrix]) .bar { display: none; }
code { font: 12px ui-monospace, monospace; }
@media print { html, body { height: auto; } body, main, #picture, .list { display: block !important; overflow: visible; }
  nav, aside, input, #shown { display: none !important; } .bar { display: flex !important; }
  canvas { max-width: 100%; height: auto !important; } .list { padding: 0 20px; break-before: page; }
  h3, tr, thead { break-inside: avoid; break-after: auto; } h3 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
@media screen and (max-width: 800px) { main { flex-direction: column; } aside { width: auto; max-height: 40%; border-left: 0;
  border-top: 1px solid var(--line); } }
`

export const script = `
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const picture = document.getElementById("picture");
const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d");
const words = { allow: "allowed", deny: "denied", some: "some requests", undecided: "not decided" };
const font = "12px system-ui, sans-serif";
let rows = [], columns = [], cell = 18, left = 0, top_ = 0, selected, hovered;

const verdictOf = (row, column) => data.reasons[data.rows[row][column]].verdict;

// A name shows where it calls or is called; of the others, those that a match has to do with.
const filter = () => {
  const text = document.getElementById("filter").value.trim().toLowerCase();
  const shown = new Set([...document.querySelectorAll("[data-verdict]:checked")].map((box) => box.dataset.verdict));
  const match = (each) => each.name.toLowerCase().includes(text);
  const all = (list) => list.map((_, i) => i);
  rows = all(data.callers);
  columns = all(data.destinations);
  if (text !== "") {
    const r = rows.filter((i) => match(data.callers[i]));
    const c = columns.filter((i) => match(data.destinations[i]));
    const reaches = (row, column) => verdictOf(row, column) !== "deny";
    rows = rows.filter((i) => r.includes(i) || c.some((column) => reaches(i, column)));
    columns = columns.filter((i) => c.includes(i) || r.some((row) => reaches(row, i)));
  }
  if (shown.size < document.querySelectorAll("[data-verdict]").length) {
    const kept = rows.filter((row) => columns.some((column) => shown.has(verdictOf(row, column))));
    columns = columns.filter((column) => rows.some((row) => shown.has(verdictOf(row, column))));
    rows = kept;
  }
  document.getElementById("shown").textContent = rows.length + " callers, " + columns.length + " services";
  hovered = undefined;
  draw();
};

const draw = () => {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue("--" + name).trim();
  const shown = new Set([...document.querySelectorAll("[data-verdict]:checked")].map((box) => box.dataset.verdict));
  context.font = font;
  const longest = (names) => Math.min(220, Math.max(40, ...names.map((name) => context.measureText(name).width)));
  left = Math.ceil(longest(rows.map((i) => data.callers[i].name))) + 18;
  const heading = longest(columns.map((i) => data.destinations[i].name));
  top_ = Math.ceil(heading) + 18;
  const room = Math.min((picture.clientWidth - left - 20) / Math.max(1, columns.length), 26);
  cell = Math.max(14, Math.floor(room));
  const width = left + columns.length * cell + 20;
  const height = top_ + rows.length * cell + 20;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const gap = cell > 16 ? 2 : 1;
  const active = hovered ?? selected;
  rows.forEach((row, y) => columns.forEach((column, x) => {
    const verdict = verdictOf(row, column);
    const px = left + x * cell, py = top_ + y * cell, size = cell - gap;
    context.globalAlpha = shown.has(verdict) ? 1 : 0.12;
    context.fillStyle = color(verdict === "some" ? "deny" : verdict);
    context.fillRect(px, py, size, size);
    if (verdict === "some") {
      context.fillStyle = color("some");
      context.beginPath();
      context.moveTo(px, py); context.lineTo(px + size, py); context.lineTo(px, py + size);
      context.fill();
    }
    context.globalAlpha = 1;
  }));
  for (const each of [hovered, selected]) {
    if (!each) continue;
    const x = columns.indexOf(each.column), y = rows.indexOf(each.row);
    if (x < 0 || y < 0) continue;
    context.strokeStyle = color("mark");
    context.lineWidth = 2;
    context.strokeRect(left + x * cell - 1, top_ + y * cell - 1, cell - gap + 2, cell - gap + 2);
  }
  // The names stay in sight: they are drawn where the picture is scrolled to, above the cells.
  const sx = picture.scrollLeft, sy = picture.scrollTop;
  context.font = font;
  context.textBaseline = "middle";
  context.fillStyle = color("back");
  context.fillRect(sx, 0, left - 3, height);
  const cut = (name) => {
    let text = name;
    while (text.length > 1 && context.measureText(text).width > 220) text = text.slice(0, -2);
    return text === name ? name : text + "…";
  };
  rows.forEach((row, y) => {
    const on = active && active.row === row;
    context.fillStyle = color(on ? "mark" : data.callers[row].other ? "soft" : "text");
    context.textAlign = "right";
    context.fillText(cut(data.callers[row].name), sx + left - 8, top_ + y * cell + cell / 2);
  });
  context.fillStyle = color("back");
  context.fillRect(0, sy, width, top_ - 3);
  columns.forEach((column, x) => {
    if (left + x * cell < sx + left) return;
    const on = active && active.column === column;
    context.save();
    context.translate(left + x * cell + cell / 2 - 1, sy + top_ - 8);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillStyle = color(on ? "mark" : data.destinations[column].other ? "soft" : "text");
    context.fillText(cut(data.destinations[column].name), 0, 0);
    context.restore();
  });
};

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  const inView = picture.getBoundingClientRect();
  if (event.clientX < inView.left + left || event.clientY < inView.top + top_) return undefined;
  const row = rows[Math.floor((event.clientY - box.top - top_) / cell)];
  const column = columns[Math.floor((event.clientX - box.left - left) / cell)];
  return row === undefined || column === undefined ? undefined : { row, column };
};

const element = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};

const show = ({ row, column }) => {
  const reason = data.reasons[data.rows[row][column]];
  const panel = document.getElementById("rules");
  const parts = [
    element("h2", data.callers[row].name + " → " + data.destinations[column].name),
    element("span", words[reason.verdict], "tag " + reason.verdict),
    element("p", reason.because)
  ];
  if (reason.rule) parts.push(element("h3", "Intention"), element("p", reason.rule));
  if (reason.permissions) {
    const list = element("ol");
    reason.permissions.forEach((text) => list.append(element("li", text)));
    parts.push(element("h3", "Permissions, the first that fits decides"), list);
  }
  if (reason.examples) {
    const list = element("ul");
    reason.examples.forEach((example) => {
      const item = element("li");
      item.append(element("code", example.request), element("br"), element("span", example.because));
      list.append(item);
    });
    parts.push(element("h3", "Smallest requests"), list);
  }
  panel.replaceChildren(...parts);
};

const select = (place) => {
  selected = place;
  show(place);
  const x = columns.indexOf(place.column) * cell, y = rows.indexOf(place.row) * cell;
  const fit = (start, room, from) => Math.max(Math.min(from, start), start + cell + 20 - room);
  picture.scrollTo(fit(x, picture.clientWidth - left, picture.scrollLeft), fit(y, picture.clientHeight - top_, picture.scrollTop));
  draw();
};

canvas.addEventListener("mousemove", (event) => {
  const place = at(event);
  if (place?.row === hovered?.row && place?.column === hovered?.column) return;
  hovered = place;
  canvas.title = place === undefined ? "" : data.callers[place.row].name + " → " + data.destinations[place.column].name;
  draw();
});
canvas.addEventListener("mouseleave", () => { hovered = undefined; draw(); });
canvas.addEventListener("click", (event) => { const place = at(event); if (place) select(place); });
picture.addEventListener("keydown", (event) => {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] };
  const move = moves[event.key];
  if (!move || rows.length === 0 || columns.length === 0) return;
  event.preventDefault();
  const clamp = (i, list) => list[Math.max(0, Math.min(list.length - 1, i))];
  const y = selected ? rows.indexOf(selected.row) : 0, x = selected ? columns.indexOf(selected.column) : 0;
  select({ row: clamp(y + move[0], rows), column: clamp(x + move[1], columns) });
});
document.getElementById("filter").addEventListener("input", filter);
document.querySelectorAll("[data-verdict]").forEach((box) => box.addEventListener("change", filter));
const view = (name) => {
  document.body.dataset.view = name;
  document.querySelectorAll("nav button").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.view === name)));
  if (name === "matrix") draw();
};
document.querySelectorAll("nav button").forEach((button) =>
  button.addEventListener("click", () => view(button.dataset.view)));
const print = () => { picture.scrollTo(0, 0); draw(); };
window.addEventListener("beforeprint", print);
matchMedia("print").addEventListener("change", print);
picture.addEventListener("scroll", draw);
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
filter();
`
