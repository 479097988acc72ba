/** What the page of the mesh does: it follows `/graph/events`, draws who calls whom and who may, and changes intentions. */
import { elements, numbers } from "./script.ts"

const behaviour = `
let graph, before, selected, placed = "";
const nodes = new Map();
const width = 140, height = 54, gapX = 120, gapY = 26;
const keyOf = ({ destination, source }) => source + " → " + destination;
const refusedOf = ({ refusals }) => sum(refusals, (each) => each.refusals);

/** From those who call to those who are called: a service stands one column after the last of its callers. Circles are cut where they close. */
const layersOf = ({ edges, services }) => {
  const callers = new Map(services.map(({ name }) => [name, []]));
  for (const edge of edges) if (edge.upstream || edge.accepted > 0) callers.get(edge.destination).push(edge.source);
  const depth = new Map();
  const depthOf = (name, path) => {
    if (depth.has(name)) return depth.get(name);
    if (path.has(name)) return -1;
    const own = 1 + Math.max(-1, ...callers.get(name).map((caller) => depthOf(caller, new Set([...path, name]))));
    depth.set(name, own);
    return own;
  };
  const layers = [];
  for (const { name } of services) { const at = depthOf(name, new Set()); (layers[at] = layers[at] || []).push(name); }
  return Array.from(layers, (layer) => (layer || []).sort((a, b) => a.localeCompare(b))).filter(({ length }) => length > 0);
};

/** Places change only when the services, or who calls whom, do. */
const place = (next) => {
  const layers = layersOf(next);
  const said = JSON.stringify(layers);
  const box = byId("graph"), canvas = byId("canvas");
  const tallest = Math.max(...layers.map(({ length }) => length));
  const least = 20 + layers.length * width + (layers.length - 1) * 64;
  // What is too wide is drawn smaller, as long as it can be read; then it scrolls.
  const scale = Math.max(.6, Math.min(1, box.clientWidth / least));
  const space = Math.max(box.clientHeight / scale - 4, tallest * (height + gapY) + gapY);
  const step = Math.max(width + 64, Math.min(width + gapX * 1.6, (box.clientWidth / scale - width - 20) / Math.max(1, layers.length - 1)));
  canvas.style.transform = "scale(" + scale + ")";
  layers.forEach((layer, column) => layer.forEach((name, i) => {
    const node = nodes.get(name) || make("a", { class: "node" }, make("b"), make("small"));
    nodes.set(name, node);
    node.column = column;
    node.x = 10 + column * step;
    node.y = space * (i + 1) / (layer.length + 1) - height / 2;
    node.style.left = node.x + "px";
    node.style.top = node.y + "px";
    if (node.parentElement !== canvas) canvas.append(node);
  }));
  const known = new Set(layers.flat());
  for (const [name, node] of nodes) if (!known.has(name)) { node.remove(); nodes.delete(name); }
  const svg = byId("edges");
  set(svg, "width", String(20 + layers.length * step));
  set(svg, "height", String(space));
  placed = said;
};

const showNodes = ({ services }) => {
  for (const { name, open, protocol, ready, sidecar } of services) {
    const node = nodes.get(name);
    set(node, "class", "node" + (ready === null ? "" : ready ? " ok" : " bad"));
    if (sidecar !== null) set(node, "href", "/#" + encodeURIComponent(sidecar));
    say(node.querySelector("b"), name);
    say(node.querySelector("small"), ready === null ? "no sidecar here" : (ready ? "" : "▲ not ready · ") + protocol + (open > 0 ? " · " + open + " open" : ""));
  }
};

/** Solid: it may and does. Thin: it may. Dashed in red: it may not, and tries or has a port for it. */
const viewOfEdge = (edge, at) => {
  const rates = record(historyOf(keyOf(edge), 60), at, countsOf(edge), edge.requests !== null);
  const flows = rates.requests + rates.sent + rates.received > 0;
  const refused = refusedOf(edge);
  const denied = edge.verdict === "deny";
  const shown = edge.upstream || edge.accepted > 0 || refused > 0;
  const traffic = edge.requests !== null && rates.requests > 0 ? short(rates.requests) + "/s" : flows ? bytes(rates.sent + rates.received) + "/s" : edge.open > 0 ? edge.open + " open" : "";
  return { edge, shown, flows, refused, state: denied ? "bad" : rates.refused > 0 ? "warn" : flows || edge.open > 0 ? "ok" : "",
    label: rates.refused > 0 ? "refused " + rates.refused + "×" + (traffic === "" || denied ? "" : " · " + traffic) : denied ? "may not" : traffic, rates };
};

/** Where edges begin and end: beside each other, in the order of where they lead. */
const portsOf = (drawn) => {
  const ends = new Map();
  for (const { edge } of drawn) for (const [end, own, other] of [["from", edge.source, edge.destination], ["to", edge.destination, edge.source]]) {
    const key = end + " " + own;
    ends.set(key, [...(ends.get(key) || []), other]);
  }
  for (const list of ends.values()) list.sort((a, b) => nodes.get(a).y - nodes.get(b).y || nodes.get(b).x - nodes.get(a).x);
  return (end, own, other) => {
    const list = ends.get(end + " " + own);
    return (list.indexOf(other) - (list.length - 1) / 2) * Math.min(12, 40 / list.length);
  };
};

const labels = new Map();
const showEdges = (views) => {
  const svg = byId("edges"), drawn = views.filter(({ edge, shown }) => shown && nodes.has(edge.source) && nodes.has(edge.destination));
  const paths = [...svg.querySelectorAll(":scope > path")];
  const seen = new Set(), port = portsOf(drawn);
  drawn.forEach(({ edge, flows, label, state }, i) => {
    const from = nodes.get(edge.source), to = nodes.get(edge.destination);
    const forward = to.x > from.x;
    const leaves = port("from", edge.source, edge.destination), comes = port("to", edge.destination, edge.source);
    const x1 = forward ? from.x + width : from.x + width / 2 + leaves, y1 = forward ? from.y + height / 2 + leaves : from.y + height;
    const x2 = forward ? to.x - 4 : to.x + width / 2 + comes, y2 = forward ? to.y + height / 2 + comes : to.y + height + 4;
    // One that passes a column goes round what stands there, and one that leads back goes below.
    const passes = forward && to.column - from.column > 1;
    const reach = forward ? Math.max(50, (x2 - x1) / (passes ? 3.2 : 2)) : 0, fall = passes ? -130 - 20 * (to.column - from.column) : forward ? 0 : 70;
    const path = paths[i] || svg.appendChild(make("path"));
    set(path, "d", "M" + x1 + " " + y1 + "C" + (x1 + reach) + " " + (y1 + fall) + " " + (x2 - reach) + " " + (y2 + fall) + " " + x2 + " " + y2);
    set(path, "class", state + (flows && state !== "bad" ? " flow" : ""));
    set(path, "marker-end", "url(#arrow" + (state === "" ? "" : "-" + state) + ")");
    const key = keyOf(edge);
    seen.add(key);
    let tagged = labels.get(key);
    if (tagged === undefined) labels.set(key, tagged = byId("canvas").appendChild(make("span", { class: "label" })));
    say(tagged, label);
    set(tagged, "class", "label " + state);
    tagged.hidden = label === "";
    const part = .5, other = .5;
    const bezier = (a, b, c, d) => other ** 3 * a + 3 * other ** 2 * part * b + 3 * other * part ** 2 * c + part ** 3 * d;
    tagged.style.left = bezier(x1, x1 + reach, x2 - reach, x2) + "px";
    tagged.style.top = bezier(y1, y1 + fall, y2 + fall, y2) + "px";
  });
  paths.slice(drawn.length).forEach((path) => path.remove());
  for (const [key, element] of labels) if (!seen.has(key)) { element.remove(); labels.delete(key); }
};

const marks = { allow: "✓", deny: "✗", requests: "◐" };
const words = { allow: "allowed", deny: "denied", requests: "some requests" };

/** Callers down, services across. */
const showMatrix = ({ services }, views) => {
  const callers = services.map(({ name }) => name), called = services.filter(({ sidecar }) => sidecar !== null).map(({ name }) => name);
  const body = byId("cells");
  const said = JSON.stringify([callers, called]);
  if (body.dataset.said !== said) {
    body.dataset.said = said;
    body.replaceChildren(make("thead", {}, make("tr", {}, make("td"), ...called.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...callers.map((source) => make("tr", {}, make("th", { scope: "row" }, source), ...called.map((destination) =>
        make("td", {}, ...(source === destination ? [] : [make("button", { type: "button", class: "cell", tabindex: "-1", "aria-expanded": "false", "data-source": source, "data-destination": destination })])))))));
    const first = body.querySelector("button");
    if (first) first.tabIndex = 0;
  }
  const byKey = new Map(views.map((view) => [keyOf(view.edge), view]));
  for (const cell of body.querySelectorAll("button")) {
    const view = byKey.get(cell.dataset.source + " → " + cell.dataset.destination);
    if (view === undefined || view.edge.verdict === null) { say(cell, "?"); continue; }
    const { edge, rates } = view;
    say(cell, marks[edge.verdict]);
    set(cell, "class", "cell " + edge.verdict + (rates.refused > 0 ? " tried" : view.flows || edge.open > 0 ? " used" : ""));
    set(cell, "aria-label", keyOf(edge) + ": " + edge.because + (edge.open > 0 ? ", " + edge.open + " open" : "") + (view.refused > 0 ? ", refused " + view.refused + " times" : ""));
    set(cell, "title", keyOf(edge) + ": " + edge.because);
  }
};

/** What has changed since a second ago, newest first. */
const tell = (next, views) => {
  const news = [];
  if (before !== undefined) {
    const known = new Map(before.edges.map((edge) => [keyOf(edge), edge]));
    for (const { edge } of views) {
      const last = known.get(keyOf(edge));
      if (last === undefined) continue;
      if (last.because !== edge.because) news.push([edge.verdict === "deny" ? "bad" : edge.verdict === "allow" ? "ok" : "warn", keyOf(edge) + " is " + words[edge.verdict] + " now: " + edge.because]);
      const refused = refusedOf(edge) - refusedOf(last);
      if (refused > 0) news.push(["bad", keyOf(edge) + ": refused ", refused]);
      if (last.open === 0 && edge.open > 0) news.push(["ok", edge.source + " has connected to " + edge.destination]);
    }
    for (const { cut, name } of next.services) {
      const last = before.services.find((each) => each.name === name);
      if (last !== undefined && cut > last.cut) news.push(["bad", plural(cut - last.cut, "connection", "connections") + " to " + name + (cut - last.cut === 1 ? " was" : " were") + " cut"]);
    }
  }
  const list = byId("news-list");
  for (const [state, text, times = 0] of news) {
    // The same again and again is one line, which counts.
    const last = times > 0 ? list.querySelector("li") : null;
    const all = times + (last !== null && last.dataset.text === text ? Number(last.dataset.times) : 0);
    if (all > times) last.remove();
    list.prepend(make("li", { "data-text": text, "data-times": String(all) }, make("time", {}, new Date(next.at).toLocaleTimeString("en-GB")),
      tag(state, state === "bad" ? "no" : state === "ok" ? "yes" : "some"), " " + text + (times > 0 ? plural(all, "time", "times") : "")));
  }
  while (list.children.length > 100) list.lastChild.remove();
  byId("news-none").hidden = list.children.length > 0;
};

const show = (next) => {
  graph = next;
  byId("main").hidden = byId("below").hidden = false;
  const waiting = next.services.filter(({ ready }) => ready === false).length;
  say(byId("state"), waiting > 0 ? "▲ " + plural(waiting, "service is", "services are") + " not ready" : "all ready");
  set(byId("state"), "class", "pill " + (waiting > 0 ? "bad" : "ok"));
  say(byId("count"), plural(next.services.filter(({ sidecar }) => sidecar !== null).length, "service", "services"));
  say(byId("agent"), next.agent.replace(/^http:[/][/]/, ""));
  say(byId("version"), next.version);
  const views = next.edges.map((edge) => viewOfEdge(edge, next.at));
  if (JSON.stringify(layersOf(next)) !== placed) place(next);
  showNodes(next);
  showEdges(views);
  showMatrix(next, views);
  tell(next, views);
  if (selected !== undefined) showChoices();
  before = next;
  started = true;
};

const edgeOf = ({ destination, source }) => graph.edges.find((edge) => edge.source === source && edge.destination === destination);

/** What can be done about a pair of services. */
const showChoices = () => {
  const edge = edgeOf(selected);
  if (edge === undefined) return close();
  say(byId("detail-title"), keyOf(edge));
  const verdict = byId("verdict");
  verdict.replaceChildren(edge.verdict === null ? "It is decided elsewhere." : tag(edge.verdict === "allow" ? "ok" : edge.verdict === "deny" ? "bad" : "warn", words[edge.verdict]), " " + (edge.because || "").replace(/^(allowed|denied):? /, ""));
  const exact = edge.rule !== null && edge.rule.source === edge.source && edge.rule.destination === edge.destination;
  for (const button of byId("choices").querySelectorAll("button")) {
    const { action } = button.dataset;
    button.disabled = !graph.changeable || (action === "remove" ? !exact : exact && edge.rule.action === action);
  }
  byId("permissions").hidden = !(exact && edge.rule.action === "permissions");
  byId("fixed").hidden = graph.changeable;
  say(byId("now"), (edge.open > 0 ? plural(edge.open, "connection", "connections") + " open" : "no connection is open") + (refusedOf(edge) > 0 ? ", refused " + plural(refusedOf(edge), "time", "times") : ""));
};

const openChoices = (cell) => {
  close();
  selected = { source: cell.dataset.source, destination: cell.dataset.destination, cell };
  cell.setAttribute("aria-expanded", "true");
  byId("detail").hidden = false;
  say(byId("outcome"), "");
  showChoices();
  byId("detail-title").focus();
};
const close = () => {
  if (selected === undefined) return;
  selected.cell.setAttribute("aria-expanded", "false");
  byId("detail").hidden = true;
  if (selected.cell.isConnected) selected.cell.focus();
  selected = undefined;
};

const change = async (action) => {
  const { destination, source } = selected;
  say(byId("outcome"), "asking the agent …");
  const query = new URLSearchParams({ source, destination, action });
  const answer = await fetch("/intentions?" + query, { method: "PUT" }).then(async (response) => response.ok ? "" : (await response.json()).error).catch(() => "the connection is lost");
  say(byId("outcome"), answer === "" ? "Done: sidecars hear of it now." : "It was not changed: " + answer);
};

const focusCell = (cell) => {
  if (!cell) return;
  for (const other of byId("cells").querySelectorAll("button")) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
};
const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
/** Past the empty place of a service and itself. */
const moveFrom = (cell, key) => {
  const [down, right] = steps[key], { rows } = byId("cells");
  let row = cell.closest("tr").rowIndex, at = cell.parentElement.cellIndex;
  for (;;) {
    row += down;
    at += right;
    const next = rows[row] && rows[row].cells[at];
    if (!next) return;
    const found = next.querySelector("button");
    if (found) return focusCell(found);
  }
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const cell = event.target.closest && event.target.closest("#cells button");
  if (event.key === "Escape") return close();
  if (cell && event.key.startsWith("Arrow")) { event.preventDefault(); moveFrom(cell, event.key); }
});
document.addEventListener("click", (event) => {
  const cell = event.target.closest("#cells button"), choice = event.target.closest("#choices button");
  if (cell) { focusCell(cell); openChoices(cell); }
  if (choice) void change(choice.dataset.action);
});
byId("detail-close").addEventListener("click", close);
addEventListener("resize", () => { placed = ""; if (graph) { place(graph); showNodes(graph); showEdges(graph.edges.map((edge) => viewOfEdge(edge, graph.at))); } });

const follow = () => {
  started = false;
  before = undefined;
  const source = new EventSource("/graph/events");
  source.onopen = () => { document.body.classList.remove("lost"); say(byId("live"), "live"); };
  source.onmessage = ({ data }) => show(JSON.parse(data));
  source.onerror = () => { document.body.classList.add("lost"); say(byId("live"), "connection lost, trying again"); if (source.readyState === 2) setTimeout(follow, 2000); };
};
follow();
`

export const meshScript = numbers + elements + behaviour
