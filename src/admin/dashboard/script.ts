/**
 * What the dashboard does: it follows `/events`, remembers the last three minutes, and draws. Names are written as text, never as
 * HTML. Plain JavaScript of browsers, in three parts: numbers over time, elements, and what happens.
 */

/** Counts become rates: of the last seconds for what is shown, of the last minute for times and failures. */
export const numbers = `
"use strict";
const byId = (id) => document.getElementById(id);
const histories = new Map();

/** The memory of one caller, one upstream, or one side of the service. */
let started = false;
const nothing = { total: 0, failed: 0, refused: 0, accepted: 0, sent: 0, received: 0, durations: [] };
const historyOf = (key, length) => {
  let known = histories.get(key);
  if (known === undefined) histories.set(key, known = { length, last: [], marks: [], rates: [], seen: 0 });
  return known;
};

const sum = (list, of) => list.reduce((total, each) => total + of(each), 0);

/** What it counts, whatever it is: requests where there are some, bytes otherwise. */
const countsOf = (each) => ({
  total: each.requests ? each.requests.total : 0,
  failed: each.requests ? each.requests.failed : 0,
  refused: sum(each.refusals || [], ({ refusals }) => refusals),
  accepted: each.accepted, sent: each.sent, received: each.received,
  durations: each.requests ? each.requests.durations : []
});

const record = (history, at, counts, http) => {
  const point = { at, ...counts };
  const before = history.last[history.last.length - 1];
  if (before && before.at === at) return ratesOf(history);
  // What was not there a second ago has counted from zero since.
  if (!before && started) history.marks.push({ at, ...nothing });
  // A process that was started again counts from zero.
  if (before && (counts.total < before.total || counts.accepted < before.accepted)) Object.assign(history, { last: [], marks: [], rates: [] });
  history.last.push(point);
  while (history.last.length > 1 && at - history.last[0].at > 5500) history.last.shift();
  const newest = history.marks[history.marks.length - 1];
  if (!newest || at - newest.at >= 5000) history.marks.push(point);
  while (history.marks.length > 1 && at - history.marks[1].at >= 60000) history.marks.shift();
  const rates = ratesOf(history);
  history.rates.push(http ? rates.requests : rates.sent + rates.received);
  if (history.rates.length > history.length) history.rates.shift();
  history.seen = at;
  return rates;
};

const ratesOf = ({ last, marks }) => {
  const now = last[last.length - 1], then = last[0], mark = marks[0];
  const seconds = Math.max(0.001, (now.at - then.at) / 1000);
  const per = (key) => now.at === then.at ? 0 : (now[key] - then[key]) / seconds;
  const since = (key) => now[key] - mark[key];
  const counts = now.durations.map(([limit, count], i) => [limit, count - (mark.durations[i] ? mark.durations[i][1] : 0)]);
  const timed = since("total");
  return {
    requests: per("total"), sent: per("sent"), received: per("received"), accepted: per("accepted"),
    failures: timed > 0 ? since("failed") / timed : 0, failed: since("failed"), refused: since("refused"),
    p50: quantile(counts, timed, .5), p99: quantile(counts, timed, .99)
  };
};

/** Of cumulative counts; undefined where there is nothing to tell from. Within a bucket times are taken to be spread evenly. */
const quantile = (counts, total, share) => {
  const all = counts.length === 0 ? 0 : Math.max(total, counts[counts.length - 1][1]);
  if (all <= 0) return undefined;
  const rank = share * all;
  let lower = 0, below = 0;
  for (const [limit, count] of counts) {
    if (count >= rank) return lower + (limit - lower) * (count === below ? 1 : (rank - below) / (count - below));
    lower = limit; below = count;
  }
  return lower;
};

const plural = (count, one, many) => count.toLocaleString("en") + " " + (count === 1 ? one : many);
const short = (value) => value >= 1000 ? (value / 1000).toPrecision(3) + "k" : value >= 100 || value === 0 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value >= .1 ? 1 : 2);
const bytes = (value) => value >= 1e9 ? (value / 1e9).toFixed(1) + " GB" : value >= 1e6 ? (value / 1e6).toFixed(1) + " MB" : value >= 1e3 ? (value / 1e3).toFixed(1) + " kB" : value.toFixed(0) + " B";
const time = (seconds) => seconds === undefined ? "–" : seconds >= 10 ? seconds.toFixed(0) + " s" : seconds >= 1 ? seconds.toFixed(1) + " s" : seconds * 1000 >= 10 ? (seconds * 1000).toFixed(0) + " ms" : (seconds * 1000).toFixed(1) + " ms";
const share = (value) => (value * 100).toFixed(value >= .1 ? 0 : 1) + " %";
const span = (seconds) => {
  const all = Math.max(0, Math.floor(seconds));
  const units = [["y", 31536000], ["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => all >= size);
  if (at < 0) return "0 s";
  const [name, size] = units[at], next = units[at + 1];
  const rest = next ? Math.floor(all % size / next[1]) : 0;
  return Math.floor(all / size) + " " + name + (rest > 0 && size >= 60 ? " " + rest + " " + next[0] : "");
};
`

/** Elements are made once, and changed where their text is another one. */
export const elements = `
const make = (name, attributes, ...children) => {
  const made = name === "svg" || name === "path" || name === "circle" || name === "line" ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...children);
  return made;
};
const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const set = (element, name, value) => { if (element.getAttribute(name) !== value) element.setAttribute(name, value); };

/** The path of a line, and of what is beneath it, in a box of 100 by 100. */
const curve = (values, length, top, from, to) => {
  const x = (i) => (100 * (length - values.length + i) / Math.max(1, length - 1)).toFixed(2);
  const y = (value) => (from + (to - from) * Math.min(1, value / top)).toFixed(2);
  const line = values.map((value, i) => (i === 0 ? "M" : "L") + x(i) + " " + y(value)).join("");
  return values.length < 2 ? ["", ""] : [line, line + "L100 " + from + "L" + x(0) + " " + from + "Z"];
};

/** A row of a column: what it is, what it does, and what is wrong with it. */
const makeRow = (key) => {
  const parts = { name: make("span", { class: "name" }), says: make("span", { class: "says" }), fault: make("span", { class: "fault" }),
    area: make("path", { class: "area" }), line: make("path", { class: "line" }) };
  const spark = make("svg", { class: "spark", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, parts.area, parts.line);
  const row = make("li", { class: "row", role: "option", tabindex: "-1", "aria-selected": "false", "data-key": key }, parts.name, parts.says, parts.fault, spark);
  return { row, ...parts, width: 0 };
};

const showRow = (shown, view) => {
  set(shown.row, "class", "row " + view.state + (view.fault === "" ? "" : " faulty"));
  say(shown.name, view.name);
  say(shown.says, view.says);
  say(shown.fault, view.fault);
  shown.fault.hidden = view.fault === "";
  set(shown.row, "title", [view.says, view.fault].filter(Boolean).join("\\n"));
  set(shown.row, "aria-label", [view.name, view.words, view.says, view.fault].filter(Boolean).join(", "));
  const top = Math.max(1, ...view.rates);
  const [line, area] = curve(view.rates, 60, top, 96, 8);
  set(shown.line, "d", line);
  set(shown.area, "d", area);
  shown.width = view.weight;
  shown.state = view.state + (view.flows ? " flow" : "") + (view.refused ? " refused" : "");
};

/** A ring that empties as a certificate comes to its end. */
const showClock = (element, certificate, name) => {
  const whole = (Date.parse(certificate.notAfter) - Date.parse(certificate.notBefore)) / 1000;
  const left = Math.max(0, Math.min(1, certificate.secondsLeft / Math.max(1, whole)));
  set(element, "class", "clock " + (certificate.secondsLeft <= 0 ? "bad" : left < .1 ? "warn" : "ok"));
  const length = 2 * Math.PI * 22;
  set(element.querySelector(".left"), "stroke-dasharray", (left * length).toFixed(1) + " " + length.toFixed(1));
  say(element.querySelector("b"), certificate.secondsLeft <= 0 ? name + " has expired" : name + ": " + span(certificate.secondsLeft) + " left");
  say(element.querySelector("small"), "until " + certificate.notAfter.replace("T", " ").replace(/[.]000Z|Z/, " UTC") + ", serial " + (certificate.serial.length > 14 ? certificate.serial.slice(0, 11) + "…" : certificate.serial));
};

const table = (heads, rows) => make("table", {},
  make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { class: kind, scope: "col" }, text)))),
  make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, i) => make("td", { class: heads[i][1] }, cell))))));
const tag = (state, text) => make("span", { class: "tag " + state }, text);
`

const behaviour = `
const columns = { callers: { rows: new Map(), order: [], sortedAt: 0 }, upstreams: { rows: new Map(), order: [], sortedAt: 0 } };
const rank = { bad: 0, warn: 1, ok: 2, idle: 3 };
let snapshot, chosen, source, opened, filter = "";

const trafficOf = (each, rates) => each.requests
  ? short(rates.requests) + "/s" + (rates.p50 === undefined ? "" : " · p50 " + time(rates.p50) + " · p99 " + time(rates.p99))
  : rates.sent + rates.received > 0
  ? "↑ " + bytes(rates.sent) + "/s ↓ " + bytes(rates.received) + "/s"
  : each.accepted > 0 ? "quiet" : "never used";
const opens = ({ open }) => open > 0 ? " · " + open.toLocaleString("en") + " open" : "";

const viewOfCaller = (caller, at) => {
  const history = historyOf("caller " + caller.service, 60);
  const rates = record(history, at, countsOf(caller), caller.requests !== null);
  const refused = sum(caller.refusals, ({ refusals }) => refusals);
  const most = caller.refusals[0];
  const flows = rates.requests + rates.sent + rates.received > 0;
  const state = rates.refused > 0 ? "bad" : rates.failures > .01 ? "warn" : flows || caller.open > 0 ? "ok" : refused > 0 && caller.accepted === 0 ? "bad" : "idle";
  const fault = refused > 0
    ? (most.audited === most.refusals ? "would be refused " : "refused ") + plural(refused, "time", "times") + " by " + most.rule + (caller.refusals.length > 1 ? " and others" : "")
    : rates.failed > 0 ? share(rates.failures) + " of its requests fail" : "";
  return { key: caller.service, name: caller.service === "*" ? "all others" : caller.service, state: state === "bad" && rates.refused === 0 && caller.accepted > 0 ? "warn" : state,
    words: rates.refused > 0 ? "refused in the last minute" : "", says: caller.accepted === 0 && refused > 0 ? "never let in" : trafficOf(caller, rates) + opens(caller),
    fault, flows, refused: caller.accepted === 0 && refused > 0, rates: history.rates, weight: weigh(rates) };
};

const viewOfUpstream = (upstream, at) => {
  const history = historyOf("upstream " + upstream.listener, 60);
  const rates = record(history, at, countsOf(upstream), upstream.requests !== null);
  const { instances } = upstream;
  const usable = instances ? Math.max(0, instances.healthy - instances.ejected) : 0;
  const flows = rates.requests + rates.sent + rates.received > 0;
  const none = instances !== null && usable === 0;
  const fault = upstream.state === "Failed" ? upstream.message
    : none ? (instances.total === 0 ? "nobody is registered" : "none of " + plural(instances.total, "instance", "instances") + " is healthy")
    : instances !== null && (instances.healthy < instances.total || instances.ejected > 0)
    ? instances.healthy + " of " + instances.total + " healthy" + (instances.ejected > 0 ? ", " + instances.ejected + " ejected" : "")
    : rates.failed > 0 ? share(rates.failures) + " of the requests to it fail" : "";
  // What nobody has asked for hurts nobody yet.
  const state = upstream.state === "Failed" ? "bad" : none ? (upstream.accepted > 0 || upstream.open > 0 ? "bad" : "idle")
    : fault !== "" && (rates.failures > .01 || instances.healthy < instances.total || instances.ejected > 0) ? "warn" : flows || upstream.open > 0 ? "ok" : "idle";
  return { key: upstream.listener, name: upstream.listener.replace(/^upstream /, ""), state, words: upstream.state === "Listening" ? "" : upstream.state.toLowerCase(),
    says: (instances && fault === "" && instances.total > 1 ? instances.total + " instances · " : "") + trafficOf(upstream, rates) + opens(upstream), fault, flows, refused: false, rates: history.rates, weight: weigh(rates) };
};

const weigh = (rates) => 1.2 + Math.min(4, Math.log2(1 + rates.requests + (rates.sent + rates.received) / 20000));

/** The order changes now and then, and never while somebody is about to click. */
const showColumn = (name, views, at) => {
  const column = columns[name], list = byId(name + "-rows");
  const matching = views.filter((view) => view.name.toLowerCase().includes(filter));
  const busy = list.matches(":hover, :focus-within");
  const known = new Set(column.order);
  const changed = matching.length !== column.order.length || matching.some(({ key }) => !known.has(key));
  if (changed || (!busy && at - column.sortedAt > 5000)) {
    column.sortedAt = at;
    column.order = matching.sort((a, b) => rank[a.state] - rank[b.state] || Math.round(b.weight) - Math.round(a.weight) || a.name.localeCompare(b.name, "en", { numeric: true })).map(({ key }) => key);
  }
  const byKey = new Map(matching.map((view) => [view.key, view]));
  const dense = column.order.length > 9;
  list.classList.toggle("dense", dense);
  list.classList.toggle("full", column.order.length > 5);
  column.order.forEach((key, i) => {
    let shown = column.rows.get(key);
    if (shown === undefined) column.rows.set(key, shown = makeRow(key));
    showRow(shown, byKey.get(key));
    if (list.children[i] !== shown.row) list.insertBefore(shown.row, list.children[i] || null);
  });
  while (list.children.length > column.order.length) list.lastChild.remove();
  for (const key of column.rows.keys()) if (!byKey.has(key)) column.rows.delete(key);
  if (!list.querySelector("[tabindex='0']") && list.firstChild) list.firstChild.tabIndex = 0;
  const bad = views.filter(({ state }) => state === "bad" || state === "warn").length;
  say(byId(name + "-count"), views.length === matching.length ? String(views.length) : matching.length + " of " + views.length);
  say(byId(name + "-bad"), bad === 0 ? "" : "▲ " + bad + " to look at");
  byId(name + "-none").hidden = column.order.length > 0;
  say(byId(name + "-none"), views.length > 0 ? "No name matches." : name === "callers" ? "Nobody has called yet." : "It has no upstreams.");
};

/** Curves from the rows that can be seen to the middle. */
const drawLinks = () => {
  const svg = byId("links"), box = svg.getBoundingClientRect(), center = byId("center").getBoundingClientRect();
  const paths = [];
  if (box.width > 0) for (const [name, column] of Object.entries(columns)) {
    const list = byId(name + "-rows").getBoundingClientRect();
    const seen = column.order.map((key) => column.rows.get(key)).map((shown) => ({ shown, at: shown.row.getBoundingClientRect() }))
      .filter(({ at }) => at.top + at.height / 2 >= list.top && at.top + at.height / 2 <= list.bottom);
    seen.forEach(({ shown, at }, i) => {
      const left = name === "callers";
      const x1 = (left ? at.right : at.left) - box.left, y1 = at.top + at.height / 2 - box.top;
      const x2 = (left ? center.left : center.right) - box.left;
      const y2 = center.top - box.top + center.height * (.2 + .6 * (seen.length === 1 ? .5 : i / (seen.length - 1)));
      const middle = (x1 + x2) / 2;
      // From who calls to who is called, so that it flows that way.
      paths.push({ d: left ? "M" + x1 + " " + y1 + "C" + middle + " " + y1 + " " + middle + " " + y2 + " " + x2 + " " + y2
        : "M" + x2 + " " + y2 + "C" + middle + " " + y2 + " " + middle + " " + y1 + " " + x1 + " " + y1, state: shown.state, width: shown.width });
    });
  }
  paths.forEach(({ d, state, width }, i) => {
    const path = svg.children[i] || svg.appendChild(make("path"));
    set(path, "d", d);
    set(path, "class", state);
    set(path, "stroke-width", width.toFixed(1));
  });
  while (svg.children.length > paths.length) svg.lastChild.remove();
};

const total = (list, key) => sum(list, (each) => each[key]);
/** The times of all of them together. */
const together = (list) => {
  const http = list.filter(({ requests }) => requests !== null);
  const [first] = http.map(({ requests }) => requests.durations).filter(({ length }) => length > 0);
  return { requests: http.length === 0 ? null : {
    total: sum(http, ({ requests }) => requests.total), failed: sum(http, ({ requests }) => requests.failed),
    durations: (first || []).map(([limit], i) => [limit, sum(http, ({ requests }) => requests.durations[i] ? requests.durations[i][1] : 0)])
  } };
};

const showWay = (name, each, at) => {
  const history = historyOf(name, 180);
  const rates = record(history, at, countsOf(each), each.requests !== null);
  const element = byId(name), http = each.requests !== null;
  const [amount, unit] = http ? [short(rates.requests), "requests/s"] : (bytes(rates.sent + rates.received) + "/s").split(" ");
  element.querySelector(".big").replaceChildren(amount + " ", make("small", {}, unit));
  element.querySelector(".more").replaceChildren(
    ...(http ? ["p50 ", make("b", {}, time(rates.p50)), " · p99 ", make("b", {}, time(rates.p99)), make("br")] : []),
    plural(each.open, "connection", "connections"),
    ...(rates.failed > 0 ? [" · ", make("b", { class: "new" }, share(rates.failures) + " fail")] : []));
  return { ...history, http };
};

const showCenter = ({ sidecar, at }) => {
  say(byId("service"), sidecar.service);
  say(byId("middle"), sidecar.service);
  say(byId("protocol"), sidecar.protocol);
  say(byId("where"), (sidecar.listen === null ? "nobody may call" : "callers connect to " + sidecar.listen) + (sidecar.application === null ? "" : " · application at " + sidecar.application));
  const inward = showWay("in", { ...sidecar.inbound, ...together(sidecar.callers) }, at);
  const outward = showWay("out", { open: total(sidecar.upstreams, "open"), accepted: total(sidecar.upstreams, "accepted"), sent: total(sidecar.upstreams, "sent"),
    received: total(sidecar.upstreams, "received"), ...together(sidecar.upstreams) }, at);
  const same = inward.http === outward.http;
  const tops = [Math.max(inward.http ? 1 : 1000, ...inward.rates), Math.max(outward.http ? 1 : 1000, ...outward.rates)];
  const [up, down] = same ? [Math.max(...tops), Math.max(...tops)] : tops;
  const chart = byId("chart");
  [["in", inward, up, 49, 2], ["out", outward, down, 51, 98]].forEach(([name, way, top, from, to]) => {
    const [line, area] = curve(way.rates, 180, top, from, to);
    set(chart.querySelector("." + name + ".line"), "d", line);
    set(chart.querySelector("." + name + ".area"), "d", area);
  });
  const unit = (way, top) => way.http ? short(top) + "/s" : bytes(top) + "/s";
  say(byId("top"), "up to " + unit(inward, up) + (same ? "" : " in, " + unit(outward, down) + " out"));
  set(chart, "aria-label", "Traffic of the last three minutes, above callers, below upstreams: up to " + unit(inward, up));
};

const showRefusals = ({ sidecar }) => {
  const rows = sidecar.callers.flatMap((caller) => caller.refusals).sort((a, b) => b.refusals - a.refusals);
  // Those that leave before they say anything are checks of an agent, mostly.
  const reasons = Object.entries(sidecar.inbound.refused).filter(([reason]) => !["denied", "disconnected"].includes(reason)).sort((a, b) => b[1] - a[1]);
  const list = byId("refusals-list");
  const seen = (key, count) => {
    const history = historyOf("refusal " + key, 1);
    record(history, snapshot.at, { ...nothing, total: count }, true);
    return history.last[history.last.length - 1].total - history.marks[0].total;
  };
  const lines = rows.map(({ audited, destination, refusals, rule, source }) => {
    const fresh = seen(source + " " + rule, refusals);
    return [source, rule + (audited > 0 ? " (audit mode let " + audited + " through)" : ""), make("span", fresh > 0 ? { class: "new" } : {}, fresh > 0 ? "+" + fresh : "–"), refusals.toLocaleString("en")];
  }).concat(reasons.map(([reason, count]) => {
    const fresh = seen("by " + reason, count);
    return [make("span", { class: "quiet" }, "before its name was known"), reason.replaceAll("_", " "), make("span", fresh > 0 ? { class: "new" } : {}, fresh > 0 ? "+" + fresh : "–"), count.toLocaleString("en")];
  }));
  say(byId("refusals-count"), lines.length === 0 ? "" : String(sum(rows, ({ refusals }) => refusals) + sum(reasons, ([, count]) => count)));
  list.replaceChildren(lines.length === 0 ? make("p", { class: "quiet" }, "Nobody was refused.")
    : table([["Caller"], ["Refused by"], ["last minute", "number"], ["in all", "number"]], lines));
};

/** One cell for each watch: a square is current, a dot is not, an empty one waits for its first answer. */
const showWatches = ({ watches }) => {
  const kinds = new Map();
  for (const each of watches) kinds.set(each.watch, [...(kinds.get(each.watch) || []), each]);
  const stale = watches.filter(({ current, failures }) => !current && failures > 0);
  const waits = watches.filter(({ current, failures }) => !current && failures === 0);
  say(byId("watches-state"), stale.length > 0 ? "▲ " + plural(stale.length, "is", "are") + " not current" : waits.length > 0 ? plural(waits.length, "waits", "wait") + " for a first answer" : "all current");
  set(byId("watches-state"), "class", stale.length > 0 ? "new" : "");
  byId("watches-kinds").replaceChildren(...[...kinds].sort(([a, one], [b, other]) => one.length - other.length || a.localeCompare(b)).flatMap(([kind, list]) => {
    const oldest = oldestOf(list);
    return [make("span", {}, kind), make("span", { class: "cells" + (list.length > 60 ? " tiny" : ""), "aria-hidden": "true" }, ...list.slice(0, 400).map((each) => make("i", { class: each.current ? "" : each.failures > 0 ? "bad" : "waits",
      title: each.what + (each.subject === "*" ? "" : " (" + each.subject + ")") + ": " + (each.secondsSinceAnswer === null ? "no answer yet" : "answered " + span(each.secondsSinceAnswer) + " ago") + (each.lastError ? ", " + each.lastError : "") }))),
      make("span", { class: "quiet" }, list.length + ", answered " + span(oldest) + " ago")];
  }));
  byId("stale").replaceChildren(...reasonsOf(stale).map(([reason, list]) => {
    const names = list.map(({ subject, what }) => what + (subject === "*" || what.includes(subject) ? "" : " (" + subject + ")"));
    const never = list.every(({ secondsSinceAnswer }) => secondsSinceAnswer === null);
    return make("li", {}, names.slice(0, 3).join(", ") + (names.length > 3 ? " and " + (names.length - 3) + " more" : "") + ": " + (never ? "no answer yet" : "no answer for " + span(oldestOf(list))) + (reason === "" ? "" : ", " + reason));
  }));
};

const oldestOf = (list) => Math.max(0, ...list.map(({ secondsSinceAnswer }) => secondsSinceAnswer === null ? 0 : secondsSinceAnswer));
const first = ["intentions", "leaf", "roots", "registration"];
/** What fails for one reason is one line, with what matters most in front. Which request it was says less than why it failed. */
const reasonsOf = (stale) => {
  const reasons = new Map();
  const placeOf = ({ watch }) => first.includes(watch) ? first.indexOf(watch) : first.length;
  for (const each of [...stale].sort((a, b) => placeOf(a) - placeOf(b))) {
    const reason = (each.lastError || "").replace(/^[A-Z]+ .* at [^ ]+: /, "");
    reasons.set(reason, [...(reasons.get(reason) || []), each]);
  }
  return [...reasons].sort(([, a], [, b]) => b.length - a.length).slice(0, 20);
};

const showHead = ({ sidecar, sidecars, ...process }) => {
  const name = sidecar ? sidecar.name : chosen;
  const own = sidecars.find((each) => each.name === name);
  const state = byId("state");
  say(state, !own ? "starting" : own.ready ? "ready" : sidecar && sidecar.phase !== "serving" ? sidecar.phase : "not ready");
  set(state, "class", "pill " + (!own ? "" : own.ready ? "ok" : sidecar && sidecar.phase !== "serving" ? "warn" : "bad"));
  byId("audited").hidden = !(sidecar && sidecar.audited);
  say(byId("identity"), (sidecar && sidecar.identity) || "");
  byId("identity").title = (sidecar && sidecar.identity) || "";
  const problems = sidecars.flatMap((each) => each.ready ? [] : each.problems.map((problem) => (sidecars.length > 1 ? each.name + ": " : "") + problem));
  byId("problems").hidden = problems.length === 0;
  const said = problems.slice(0, 5).concat(problems.length > 5 ? ["and " + (problems.length - 5) + " more"] : []).join("\\n");
  if (byId("problems").dataset.said !== said) {
    byId("problems").dataset.said = said;
    byId("problems").replaceChildren(make("ul", {}, ...said.split("\\n").map((line) => make("li", {}, line))));
  }
  const select = byId("sidecar");
  byId("pick").hidden = sidecars.length < 2;
  const names = sidecars.map((each) => each.name + (each.ready ? "" : " ▲"));
  if (select.dataset.names !== names.join("\\n")) {
    select.dataset.names = names.join("\\n");
    select.replaceChildren(...sidecars.map((each, i) => make("option", { value: each.name }, names[i])));
  }
  if (name !== undefined && select.value !== name) select.value = name;
  const failing = process.watches.filter(({ current, failures }) => !current && failures > 0);
  const away = failing.length > 0 && failing.length > process.watches.length * .8;
  say(byId("agent"), process.agent.replace(/^http:[/][/]/, "") + (away ? " ▲ does not answer" : ""));
  set(byId("agent"), "class", away ? "new" : "");
  say(byId("level"), process.logLevel);
  say(byId("uptime"), span(process.uptimeSeconds));
  say(byId("version"), process.version);
  document.title = (own && !own.ready ? "▲ " : "") + (sidecar ? sidecar.service : "sidecar") + " · effect-mesh";
};

const show = (next) => {
  snapshot = next;
  showHead(next);
  const { sidecar } = next;
  for (const id of ["main", "panels"]) byId(id).hidden = sidecar === null;
  if (sidecar === null) return;
  showColumn("callers", sidecar.callers.map((caller) => viewOfCaller(caller, next.at)), next.at);
  showColumn("upstreams", sidecar.upstreams.map((upstream) => viewOfUpstream(upstream, next.at)), next.at);
  showCenter(next);
  byId("leaf").hidden = byId("root").hidden = sidecar.leaf === null;
  if (sidecar.leaf !== null) showClock(byId("leaf"), sidecar.leaf, "Leaf");
  if (sidecar.root !== null) showClock(byId("root"), sidecar.root, "Root");
  showRefusals(next);
  showWatches(next);
  drawLinks();
  started = true;
  for (const [key, history] of histories) if (next.at - history.seen > 60000) histories.delete(key);
};

const follow = () => {
  if (source) source.close();
  histories.clear();
  started = false;
  source = new EventSource("/events" + (chosen === undefined ? "" : "?sidecar=" + encodeURIComponent(chosen)));
  source.onopen = () => { document.body.classList.remove("lost"); say(byId("live"), "live"); };
  source.onmessage = ({ data }) => show(JSON.parse(data));
  source.onerror = () => { document.body.classList.add("lost"); say(byId("live"), "connection lost, trying again"); if (source.readyState === 2) setTimeout(follow, 2000); };
};

const own = (list) => list.sidecars.find(({ name }) => name === snapshot.sidecar.name);
const ask = async (path) => own(await (await fetch(path)).json());

const codes = (requests) => requests === null ? [] : [make("h3", {}, "Answers"), table([["Status"], ["Requests", "number"]],
  Object.entries(requests.codes).sort((a, b) => b[1] - a[1]).map(([code, count]) => [tag(/^[23]/.test(code) ? "ok" : /^[14]/.test(code) ? "warn" : "bad", code), count.toLocaleString("en")]))];

const aboutCaller = async (name) => {
  const caller = snapshot.sidecar.callers.find(({ service }) => service === name);
  const [policy, open] = await Promise.all([ask("/intentions"), ask("/connections?limit=100000")]);
  const rules = policy.intentions.filter(({ source }) => source === name || source === "*");
  const theirs = open.connections.filter(({ direction, peer }) => direction === "inbound" && peer !== null && peer.endsWith("/svc/" + name));
  return [make("p", { class: "quiet" }, plural(caller.accepted, "connection", "connections") + " since the start, " + caller.open + " open"),
    ...(caller.refusals.length === 0 ? [] : [make("h3", {}, "Refusals"), table([["Rule"], ["Times", "number"]], caller.refusals.map(({ refusals, rule }) => [rule, refusals.toLocaleString("en")]))]),
    make("h3", {}, "Intentions that may decide, in their order"),
    rules.length === 0 ? make("p", {}, "None: the default policy decides, ", tag(policy.defaultPolicy === "allow" ? "ok" : "bad", policy.defaultPolicy))
      : table([["Intention"], ["Precedence", "number"], ["Says"]], rules.map(({ action, destination, precedence, source }) => [source + " → " + destination, String(precedence), tag(action === "allow" ? "ok" : action === "deny" ? "bad" : "warn", action)])),
    ...codes(caller.requests),
    make("h3", {}, "Open connections" + (theirs.length > 20 ? ", 20 of " + theirs.length : "")),
    theirs.length === 0 ? make("p", { class: "quiet" }, "none") : table([["From"], ["For", "number"], ["Bytes out", "number"], ["in", "number"]], theirs.slice(0, 20).map(({ received, remote, seconds, sent }) => [remote, span(seconds), bytes(sent), bytes(received)]))];
};

const aboutUpstream = async (name) => {
  const one = ({ listener }) => listener === name;
  const summary = snapshot.sidecar.upstreams.find(one);
  const [{ upstreams }, { upstreams: routed }] = await Promise.all([ask("/upstreams"), ask("/routes")]);
  const upstream = upstreams.find(one), { routes } = routed.find(one);
  return [make("p", { class: "quiet" }, upstream.service + " (" + upstream.protocol + "), for the application at " + upstream.address + ": " + plural(upstream.accepted, "connection", "connections") + " since the start, " + upstream.open + " open"),
    ...(upstream.message === null ? [] : [make("p", { class: "new" }, upstream.message)]),
    ...(upstream.targets || []).flatMap(({ id, instances }) => [make("h3", {}, "Instances of " + id),
      instances === null ? make("p", { class: "quiet" }, "not known yet") : instances.length === 0 ? make("p", {}, "none is registered") :
      table([["Instance"], ["State"], ["Busy with", "number"]], instances.slice(0, 100).map(({ active, address, ejected, healthy, id: instance, unhealthy }) =>
        [make("span", {}, instance, make("br"), make("small", {}, address)), make("span", {}, tag(!healthy ? "bad" : ejected ? "warn" : "ok", !healthy ? "unhealthy" : ejected ? "ejected" : "healthy"), ...(unhealthy === null ? [] : [make("br"), make("small", {}, unhealthy)])), String(active)]))]),
    ...(upstream.targets === null ? [make("p", { class: "quiet" }, "It is not known yet where calls go.")] : []),
    ...codes(summary.requests),
    ...(routes === null ? [] : [make("h3", {}, "Routes, in their order"), table([["If"], ["To"]], routes.map(({ conditions, legs, written }) =>
      [written ? conditions.join("; ") : "all others", legs.map(({ share: part, targets }) => (legs.length > 1 ? share(part) + " " : "") + targets.join(", else ")).join("; ")]))])];
};

const openDetail = async (row) => {
  const key = row.dataset.key, isCaller = row.closest("#callers") !== null;
  closeDetail();
  opened = row;
  row.setAttribute("aria-selected", "true");
  say(byId("detail-title"), isCaller ? key : key.replace(/^upstream /, ""));
  byId("detail-body").replaceChildren(make("p", { class: "quiet" }, "asking …"));
  byId("detail").hidden = false;
  byId("detail-title").focus();
  const body = await (isCaller ? aboutCaller(key) : aboutUpstream(key)).catch(() => [make("p", { class: "new" }, "It has gone, or the connection is lost.")]);
  if (opened === row) byId("detail-body").replaceChildren(...body);
};
const closeDetail = () => {
  if (opened === undefined) return;
  opened.setAttribute("aria-selected", "false");
  byId("detail").hidden = true;
  if (opened.isConnected) opened.focus();
  opened = undefined;
};

/** Arrow keys move within a column and between them; one row of each can be reached by Tab. */
const focusRow = (row) => {
  if (!row) return;
  for (const other of row.parentElement.children) other.tabIndex = -1;
  row.tabIndex = 0;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
};
const moveFrom = (row, key) => {
  const list = [...row.parentElement.children], at = list.indexOf(row);
  switch (key) {
    case "ArrowDown": return focusRow(list[at + 1]);
    case "ArrowUp": return focusRow(list[at - 1]);
    case "Home": return focusRow(list[0]);
    case "End": return focusRow(list[list.length - 1]);
    case "ArrowLeft": return focusRow(byId("callers-rows").querySelector("[tabindex='0']"));
    case "ArrowRight": return focusRow(byId("upstreams-rows").querySelector("[tabindex='0']"));
    case "Enter": case " ": return void openDetail(row);
  }
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const row = event.target.closest && event.target.closest(".row");
  if (event.key === "Escape") return event.target.id === "filter" && byId("filter").value !== "" ? undefined : closeDetail();
  if (event.key === "/" && event.target.tagName !== "INPUT") { event.preventDefault(); return byId("filter").focus(); }
  if (row && /^(Arrow|Home|End|Enter| )/.test(event.key)) { event.preventDefault(); moveFrom(row, event.key); }
});
document.addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (row) { focusRow(row); void openDetail(row); }
});
byId("detail-close").addEventListener("click", closeDetail);
byId("filter").addEventListener("input", ({ target }) => { filter = target.value.trim().toLowerCase(); if (snapshot) redraw(); });
byId("sidecar").addEventListener("change", ({ target }) => { location.hash = encodeURIComponent(target.value); });

/** The same numbers with another filter: they are not counted twice. */
const redraw = () => {
  for (const name of ["callers", "upstreams"]) columns[name].sortedAt = 0;
  const { sidecar } = snapshot;
  if (sidecar === null) return;
  showColumn("callers", sidecar.callers.map((caller) => viewOfCaller(caller, snapshot.at)), snapshot.at);
  showColumn("upstreams", sidecar.upstreams.map((upstream) => viewOfUpstream(upstream, snapshot.at)), snapshot.at);
  drawLinks();
};
const choose = () => { chosen = location.hash.length > 1 ? decodeURIComponent(location.hash.slice(1)) : undefined; closeDetail(); follow(); };
addEventListener("hashchange", choose);
addEventListener("resize", drawLinks);
for (const name of ["callers-rows", "upstreams-rows"]) byId(name).addEventListener("scroll", drawLinks, { passive: true });
choose();
`

export const script = numbers + elements + behaviour
