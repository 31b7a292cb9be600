"use strict";
// The page of a trace: a graph of rows, one an op, and the step that the slider stands at, in words, numbers and pictures.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { open: new Set(), steps: [], rows: [], at: 0, hits: [] };

// -- small things ---------------------------------------------------------------------------------------------------------

function element(kind, attributes, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (name === "class") made.className = value;
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function drawn(kind, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function number(x) {
  if (typeof x !== "number") return String(x);
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
  const size = Math.abs(x);
  return size >= 1e5 || size < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

function bytes(n) {
  for (const [unit, power] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (n >= power) return `${Number((n / power).toPrecision(3))} ${unit}`;
  return `${n} bytes`;
}

const size = (value) => value.shape.reduce((product, n) => product * n, 1);
const single = (value) => (size(value) === 1 && value.numbers !== undefined ? [value.numbers].flat(9)[0] : null);
const shown = (value) => (single(value) !== null ? number(single(value)) : `|${number(value.norm)}|`);
const shape = (value) => `[${value.shape.join(", ")}]`;
const rms = (value) => (typeof value.norm === "number" ? value.norm / Math.sqrt(Math.max(1, size(value))) : NaN);
const broken = (value) => value.nans > 0 || value.infinities > 0;
const label = (node, n) => `${node.name} #${n}`;

// -- colours --------------------------------------------------------------------------------------------------------------

const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const RANGE = gradientRange();

function gradientRange() {
  const logs = [];
  for (const visit of DATA.visits) {
    for (const i of [...visit.gradients, ...visit.sent.map((sent) => sent.value)]) {
      if (i !== null && rms(DATA.values[i]) > 0) logs.push(Math.log10(rms(DATA.values[i])));
    }
  }
  return logs.length ? [Math.min(...logs), Math.max(...logs)] : [0, 1];
}

function blend(t) {
  const place = Math.min(0.9999, Math.max(0, t)) * (STOPS.length - 1);
  const [a, b, rest] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1], place % 1];
  return `rgb(${a.map((x, i) => Math.round(x + (b[i] - x) * rest)).join(",")})`;
}

function share(value) {
  return RANGE[1] > RANGE[0] ? (Math.log10(rms(value)) - RANGE[0]) / (RANGE[1] - RANGE[0]) : 1;
}

function colour(value) {
  if (!value) return "var(--none)";
  if (broken(value)) return "#e0218a";
  return rms(value) > 0 ? blend(share(value)) : "#000";
}

function legend() {
  if (!DATA.visits.length) return;
  const stops = STOPS.map((_, i) => blend(i / (STOPS.length - 1)));
  const bar = element("i", { style: `background:linear-gradient(90deg,${stops.join(",")})` });
  const [low, high] = RANGE.map((log) => number(10 ** log));
  $("legend").append("gradient per element", ` ${low} `, bar, ` ${high}`);
}

// -- the graph as rows, fused nodes that are unfolded in their parts -------------------------------------------------------

const keyOf = (context, n) => context.prefix + n;
const TOP = { graph: DATA, prefix: "", outer: null };

function inside(context, n) {
  const node = context.graph.nodes[n];
  return { graph: node.inner, prefix: `${keyOf(context, n)}/`, outer: { context, n } };
}

const isOpen = (context, n) => Boolean(context.graph.nodes[n].inner) && state.open.has(keyOf(context, n));

function rowsOf(context, groups) {
  return context.graph.nodes.flatMap((node, n) => {
    const here = [...groups, ...modulesOf(node, context)];
    if (isOpen(context, n)) return rowsOf(inside(context, n), [...here, { key: keyOf(context, n), fold: true, name: `${label(node, n)} by its definition` }]);
    return [{ key: keyOf(context, n), context, n, node, groups: here }];
  });
}

function modulesOf(node, context) {
  if (!node.module || context.outer) return [];
  const parts = node.module.split(".");
  return parts.map((_, i) => ({ key: `module ${parts.slice(0, i + 1).join(".")}`, name: parts.slice(0, i + 1).join(".") }));
}

// The row that made a node's output: of an unfolded node, the last one of its definition.
function makerOf(context, n, output) {
  if (!isOpen(context, n)) return keyOf(context, n);
  const within = inside(context, n);
  const last = within.graph.nodes.length - 1;
  const index = within.graph.nodes.findIndex((node, i) => node.outputs.length > output && i === last);
  return makerOf(within, index < 0 ? last : index, output);
}

// The row that an input comes from: within a definition, what the fused node was given.
function sourceOf(context, input) {
  if (typeof input !== "number") return null;
  const value = context.graph.values[input];
  if (value.by !== null) return makerOf(context, value.by, value.out);
  if (!context.outer || !value.label) return null;
  const { context: around, n } = context.outer;
  const node = around.graph.nodes[n];
  const place = node.names.indexOf(value.label);
  return place < 0 ? null : sourceOf(around, node.inputs[place]);
}

function stepsOf(context) {
  const forward = context.graph.nodes.flatMap((node, n) =>
    isOpen(context, n) ? stepsOf(inside(context, n)).forward : [{ kind: "forward", key: keyOf(context, n), context, n }]);
  const backward = context.graph.visits.flatMap((visit, v) =>
    isOpen(context, visit.node) ? stepsOf(inside(context, visit.node)).backward : [{ kind: "backward", key: keyOf(context, visit.node), context, n: visit.node, v }]);
  return { forward, backward };
}

function rebuild(key) {
  const before = state.steps[state.at];
  state.rows = rowsOf(TOP, []);
  const { forward, backward } = stepsOf(TOP);
  state.steps = [...forward, ...backward, ...(DATA.leaves.length ? [{ kind: "leaves", key: "leaves" }] : [])];
  $("slider").max = state.steps.length - 1;
  layOut();
  findHits();
  const same = (step) => before && step.kind === before.kind && (step.key === (key || before.key) || step.key.startsWith(`${key || before.key}/`));
  go(Math.max(0, state.steps.findIndex(same)));
}

// -- laying the rows out --------------------------------------------------------------------------------------------------

const ROW = 44, HEAD = 20, LANE = 15, INSET = 3;

function layOut() {
  const { rows } = state, index = new Map(rows.map((row, i) => [row.key, i]));
  for (const row of rows) row.from = [...new Set(row.node.inputs.map((x) => sourceOf(row.context, x)).filter((key) => index.has(key)).map((key) => index.get(key)))];
  const lastUse = rows.map((_, i) => i);
  rows.forEach((row, i) => row.from.forEach((j) => { lastUse[j] = i; }));
  giveLanes(rows, lastUse);
  const boxes = placeRows(rows);
  drawGraph(rows, boxes);
}

function giveLanes(rows, lastUse) {
  const lanes = [];
  rows.forEach((row, i) => {
    for (let k = 0; k < lanes.length; k++) if (lanes[k] !== null && lastUse[lanes[k]] <= i) lanes[k] = null;
    const near = row.from.length ? rows[row.from[0]].lane : 0;
    row.lane = lanes[near] === null || near >= lanes.length ? near : lanes.findIndex((lane) => lane === null);
    if (row.lane < 0) row.lane = lanes.length;
    while (lanes.length <= row.lane) lanes.push(null);
    lanes[row.lane] = i;
  });
}

// Rows get their places, neighbours of one module a box; a box of one row is left out.
function placeRows(rows) {
  const boxes = [], openNow = [];
  let top = 24;
  rows.forEach((row, i) => {
    const wanted = row.groups.filter((group, d) => group.fold || (rows[i + 1] || {}).groups?.[d]?.key === group.key || (rows[i - 1] || {}).groups?.[d]?.key === group.key);
    while (openNow.length && !openNow.every((box, d) => wanted[d] && wanted[d].key === box.key)) {
      openNow.pop().bottom = top;
      top += 4;
    }
    for (const group of wanted.slice(openNow.length)) {
      const box = { ...group, depth: openNow.length, top };
      boxes.push(box);
      openNow.push(box);
      top += HEAD;
    }
    row.top = top;
    top += ROW;
  });
  while (openNow.length) { openNow.pop().bottom = top; top += 4; }
  boxes.height = top + 8;
  return boxes;
}

function drawGraph(rows, boxes) {
  const left = 14 + INSET * Math.max(0, ...boxes.map((box) => box.depth + 1));
  const gutter = left + LANE * (1 + Math.max(0, ...rows.map((row) => row.lane)));
  const svg = drawn("svg", { height: boxes.height });
  const canvas = element("div", { class: "canvas", style: `height:${boxes.height}px` });
  canvas.append(element("div", { class: "caption" }, "result, below it its gradient; |x| is a norm"));
  for (const box of boxes) {
    const shapeOf = `left:${2 + INSET * box.depth}px;right:${2 + INSET * box.depth}px;top:${box.top}px;height:${box.bottom - box.top}px`;
    const fold = box.fold ? element("button", { onclick: () => toggle(box.key), "aria-label": `Fold ${box.name}` }, "fold") : null;
    canvas.append(element("div", { class: "module", style: shapeOf }, element("span", {}, box.name), fold));
  }
  const x = (row) => left + LANE * row.lane, y = (row) => row.top + ROW / 2 - 1;
  rows.forEach((row) => row.from.forEach((j) => {
    const from = rows[j], bend = Math.min(26, y(row) - y(from));
    const path = drawn("path", { d: `M${x(from)} ${y(from)} V${y(row) - bend} C${x(from)} ${y(row) - bend / 3} ${x(row)} ${y(row) - bend / 1.5} ${x(row)} ${y(row)}` });
    (row.edges ||= new Map()).set(from.key, path);
    svg.append(path);
  }));
  for (const row of rows) {
    row.dot = drawn("circle", { cx: x(row), cy: y(row), r: 7 });
    svg.append(row.dot);
    row.element = element("button", { class: "row", style: `top:${row.top}px;left:${gutter + 4}px`, "data-key": row.key, onclick: () => visitRow(row) });
    canvas.append(row.element);
  }
  canvas.prepend(svg);
  $("graph").replaceChildren(canvas);
}

function visitRow(row) {
  const kind = state.steps[state.at].kind === "forward" ? "forward" : "backward";
  const find = (wanted) => state.steps.findIndex((step) => step.key === row.key && step.kind === wanted);
  go(find(kind) >= 0 ? find(kind) : find("forward"));
}

function toggle(key) {
  const opens = !state.open.has(key);
  if (opens) state.open.add(key);
  else for (const open of [...state.open]) if (open === key || open.startsWith(`${key}/`)) state.open.delete(open);
  rebuild(opens ? key : foldedKey(key));
}

// After folding, the step stands at the folded node.
function foldedKey(key) {
  const before = state.steps[state.at];
  if (before.key.startsWith(`${key}/`)) state.steps[state.at] = { ...before, key };
  return before.key.startsWith(`${key}/`) ? key : before.key;
}

// -- what is shown of the rows at a step ----------------------------------------------------------------------------------

function reachedBy(at) {
  const reached = new Map();
  state.steps.slice(0, at + 1).forEach((step) => {
    if (step.kind !== "backward") return;
    const visit = step.context.graph.visits[step.v];
    const came = visit.gradients.filter((i) => i !== null).map((i) => step.context.graph.values[i]);
    reached.set(step.key, came[0] || null);
  });
  return reached;
}

function fillRows() {
  const step = state.steps[state.at], reached = reachedBy(state.at), targets = new Set();
  if (step.kind === "backward") for (const sent of step.context.graph.visits[step.v].sent) if (sent.node !== undefined) targets.add(makerOf(step.context, sent.node, sent.out));
  for (const row of state.rows) {
    const gradient = reached.get(row.key), now = row.key === step.key;
    if (row.filled && row.gradient === gradient && !now && !row.now) continue; // as it was at the step before
    Object.assign(row, { filled: true, gradient, now });
    const values = row.context.graph.values;
    row.dot.setAttribute("fill", colour(gradient));
    row.dot.classList.toggle("now", now);
    row.element.className = `row${now ? " now" : ""}${gradient === undefined ? " unreached" : ""}`;
    row.edges?.forEach((path, from) => path.classList.toggle("flow", now && (step.kind === "forward" || targets.has(from))));
    const made = row.node.outputs.map((i) => values[i]);
    row.element.replaceChildren(
      element("span", { class: "name" }, element("b", {}, row.node.name), ` #${row.n} `, element("em", {}, row.node.module || made.map((y) => y.label).filter(Boolean).join(", "))),
      element("span", { class: "made" }, made.length ? `${single(made[0]) === null ? shape(made[0]) : ""} ${shown(made[0])}` : ""),
      element("span", { class: "given" }, givenTo(row, reached)),
      element("span", { class: "gradient" }, besideMark(row, gradient !== undefined), gradient ? [bar(gradient), shown(gradient)] : ""),
    );
  }
}

function givenTo(row, reached) {
  const { graph } = row.context, done = reached.has(row.key);
  const visit = done ? graph.visits.findLast((v) => v.node === row.n) : null;
  return row.node.inputs.flatMap((x, i) => {
    if (typeof x !== "number" || !graph.values[x].label || graph.values[x].by !== null) return [];
    const sent = visit?.sent.find((s) => s.input === i);
    return [element("i", { class: "chip", style: sent ? `background:${colour(graph.values[sent.value])}` : "" }), graph.values[x].label];
  });
}

function bar(value) {
  const length = broken(value) ? 60 : rms(value) > 0 ? 6 + 54 * share(value) : 2;
  return element("i", { class: "bar", style: `width:${length.toFixed(0)}px;background:${colour(value)}` });
}

// -- arrays ---------------------------------------------------------------------------------------------------------------

function card(title, value, ...more) {
  return element("div", { class: "card" }, element("div", { class: "label" }, title), array(value), ...more);
}

function array(value) {
  const parts = [];
  if (single(value) !== null) parts.push(element("div", { class: "single" }, number(single(value))));
  else if (value.numbers !== undefined) parts.push(element("div", { class: "wide" }, table(value)));
  if (value.picture) parts.push(heatMap(value.picture));
  if (value.histogram) parts.push(histogram(value));
  parts.push(element("div", { class: "figures" }, figures(value)));
  return parts;
}

function figures(value) {
  const words = [`${shape(value)} ${value.dtype}`];
  if (size(value) > 1) words.push(`norm ${number(value.norm)}`, `mean ${number(value.mean)} ± ${number(value.std)}`, `${number(value.low)} to ${number(value.high)}`);
  if (value.zeros > 0 && size(value) > 1) words.push(`${number(100 * value.zeros)} % zeros`);
  if (broken(value)) return [words.join(" · "), " · ", element("span", { class: "alarm" }, `${value.nans} NaN, ${value.infinities} infinite`)];
  return words.join(" · ");
}

function table(value) {
  let rows = value.numbers;
  if (!Array.isArray(rows[0])) rows = [rows];
  while (Array.isArray(rows[0]) && Array.isArray(rows[0][0])) rows = rows.flat();
  return element("table", {}, rows.slice(0, 24).map((row) => element("tr", {}, row.map((x) => element("td", {}, number(x))))));
}

function heatMap(picture) {
  const cells = Int8Array.from(atob(picture.cells), (c) => c.charCodeAt(0));
  const width = cells.length / picture.rows, scale = Math.max(2, Math.min(8, Math.floor(240 / width)));
  const canvas = element("canvas", { width, height: picture.rows, style: `width:${width * scale}px;height:${Math.max(6, picture.rows * scale)}px` });
  const pixels = new ImageData(width, picture.rows);
  cells.forEach((level, i) => pixels.data.set(diverging(level), 4 * i));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const words = `blue −${number(picture.scale)}, white 0, red ${number(picture.scale)}${picture.about ? `; ${picture.about}` : ""}`;
  return [canvas, element("div", { class: "about" }, words)].reduce((box, part) => (box.append(part), box), element("div", {}));
}

function diverging(level) {
  if (level === -128) return [224, 33, 138, 255];
  const t = Math.abs(level) / 127, end = level < 0 ? [33, 84, 172] : [178, 24, 43];
  return [...end.map((x) => Math.round(250 + (x - 250) * Math.sqrt(t))), 255];
}

function histogram(value) {
  const most = Math.max(...value.histogram), n = value.histogram.length;
  const bars = value.histogram.map((count, i) => drawn("rect", { x: i * 8, width: 7, y: 44 - 44 * (count / most), height: 44 * (count / most) }));
  const svg = drawn("svg", { class: "histogram", viewBox: `0 0 ${8 * n} 44`, preserveAspectRatio: "none", role: "img" }, ...bars);
  svg.setAttribute("aria-label", `histogram from ${number(value.low)} to ${number(value.high)}`);
  return svg;
}

// -- the step in words ----------------------------------------------------------------------------------------------------

function link(context, n) {
  const step = () => {
    const key = makerOf(context, n, 0), kind = state.steps[state.at].kind === "forward" ? "forward" : "backward";
    const found = state.steps.findIndex((s) => s.key === key && s.kind === kind);
    if (found >= 0) go(found);
  };
  return element("a", { onclick: step, role: "button" }, label(context.graph.nodes[n], n));
}

function nameOf(context, x) {
  if (typeof x !== "number") return String(x.is);
  const value = context.graph.values[x];
  if (value.by !== null) return element("span", {}, value.label ? `${value.label}, by ` : "by ", link(context, value.by));
  return value.label || "a constant";
}

function heading(step, phase) {
  const node = step.context.graph.nodes[step.n];
  const places = [node.module && `in ${node.module}`, node.line && `at ${node.line}`].filter(Boolean).join(", ");
  const unfold = node.inner ? element("button", { id: "unfold", onclick: () => toggle(step.key), title: "Into its definition (u)" }, "unfold") : null;
  const folded = step.context.outer ? element("button", { id: "fold", onclick: () => toggle(step.context.prefix.slice(0, -1)) }, "fold") : null;
  return [element("h2", {}, `${phase}: ${label(node, step.n)}`), element("div", { class: "where" }, places, unfold, folded)];
}

function formulaOf(words, numbers) {
  return [words && element("div", { class: "formula" }, words), numbers && element("div", { class: "formula numbers" }, numbers)];
}

function forwardDetail(step) {
  const { graph } = step.context, node = graph.nodes[step.n];
  const inputs = node.inputs.map((x, i) => {
    const name = element("span", {}, node.names[i] ? `${node.names[i]}: ` : "", nameOf(step.context, x));
    return typeof x === "number" ? card(name, graph.values[x]) : element("div", { class: "card" }, element("div", { class: "label" }, name));
  });
  const dead = node.dead !== null && node.dead > 0 ? element("p", {}, `${number(100 * node.dead)} % of its units give 0 for the whole batch: dead.`) : null;
  return [
    ...heading(step, "Forward"),
    element("h3", {}, "What it computes"), ...formulaOf(node.formula, node.numbers),
    element("h3", {}, "Given"), element("div", { class: "cards" }, inputs),
    element("h3", {}, "Result"), element("div", { class: "cards" }, node.outputs.map((i) => card(graph.values[i].label || "result", graph.values[i])), besideCard(step)), dead,
    element("h3", {}, "Memory"), memory(step), savedWords(node), freedWords(node.freed),
  ];
}

function savedWords(node) {
  if (!node.edges.length) return element("p", {}, "No gradient will be asked for: it is no part of the graph.");
  if (!node.saved.length) return element("p", {}, "Saves nothing for its gradient.");
  return element("div", {}, "Saves for its gradient:", element("ul", {}, node.saved.map(([what, form, n]) => element("li", {}, `${what} [${form.join(", ")}], ${bytes(n)}`))));
}

function freedWords(freed) {
  const known = freed.filter(([, n]) => n > 0);
  if (!known.length) return null;
  return element("div", {}, `Freed: ${bytes(known.reduce((sum, [, n]) => sum + n, 0))}`, element("ul", {}, known.slice(0, 8).map(([what, n]) => element("li", {}, `${what}, ${bytes(n)}`))));
}

function backwardDetail(step) {
  const { graph } = step.context, node = graph.nodes[step.n], visit = graph.visits[step.v];
  return [
    ...heading(step, "Backward"),
    element("div", { class: "why" }, whyNow(step, visit)),
    visit.error ? element("p", { class: "alarm" }, `It failed: ${visit.error}`) : null,
    element("h3", {}, "Comes in"), ...visit.gradients.map((i, output) => comesIn(step, visit, i, output)),
    element("h3", {}, "Goes out"), ...(visit.sent.length ? visit.sent.map((sent) => goesOut(step, node, sent)) : ["Nothing: nobody asks for it."]),
    ...whatIf(visit.doubled), ...checked(node, step),
    element("h3", {}, "Memory"), memory(step), freedWords(visit.freed),
  ];
}

function whyNow(step, visit) {
  const others = visit.waiting.slice(1);
  if (visit.started.length && visit.begins) return [step.context.outer ? "What came in at the fused node is where its definition begins." : "The backward pass begins here.", others.length ? "" : " Nothing else waits."].join("");
  if (!others.length) return "It is the only node that waits.";
  const links = others.slice(0, 8).flatMap((n, i) => [i ? ", " : "", link(step.context, n)]);
  return element("span", {}, "Also waiting: ", ...links, others.length > 8 ? ` and ${others.length - 8} more` : "", ". Of them all, this one was made last: whatever used its result has run already, so its gradient is complete.");
}

function comesIn(step, visit, i, output) {
  const which = visit.gradients.length > 1 ? ` of output ${output}` : "";
  if (i === null) return element("p", {}, `Nothing${which}: zeros.`);
  const { graph } = step.context, whole = graph.values[i], parts = visit.arrived[output] || [];
  const start = visit.started.includes(output) && !step.context.outer ? " (where the pass begins)" : "";
  const cards = [card(`gradient${which}${start}`, whole), output === 0 ? besideCard(step) : null].filter(Boolean);
  if (parts.length > 1) for (const sent of parts) cards.push(card(element("span", {}, "by ", link(step.context, graph.visits[sent.visit].node)), graph.values[sent.value]));
  return element("div", {}, parts.length > 1 ? equation(step.context, whole, parts) : "", visit.hooked ? "A hook of this node may have replaced what was sent." : "", element("div", { class: "cards" }, cards));
}

function equation(context, whole, parts) {
  const { graph } = context;
  const terms = parts.flatMap((sent, i) => [i ? " + " : "", shown(graph.values[sent.value]), " by ", link(context, graph.visits[sent.visit].node)]);
  return element("div", { class: "equation" }, `${shown(whole)} = `, ...terms, single(whole) === null ? " (norms; the arrays are added)" : "");
}

function goesOut(step, node, sent) {
  const { graph } = step.context;
  const target = sent.leaf !== undefined ? graph.values[graph.leaves[sent.leaf].value].label || "a leaf" : link(step.context, sent.node);
  return element("div", { style: "margin-bottom:12px" }, element("div", { class: "cards" }, card(element("span", {}, "to ", target, node.names[sent.input] ? ` (${node.names[sent.input]})` : ""), graph.values[sent.value])), ...formulaOf(sent.formula, sent.numbers));
}

const listed = (names) => (names.length <= 8 ? names.join(", ") : `${names.slice(0, 6).join(", ")} and ${names.length - 6} more`);

function whatIf(doubled) {
  if (!doubled) return [];
  const name = (leaf) => DATA.values[DATA.leaves[leaf].value].label || `leaf ${leaf}`;
  const items = [];
  if (doubled.twice.length) items.push(element("li", {}, `twice the gradient: ${listed(doubled.twice.map(name))}`));
  for (const c of doubled.changes.slice(0, 12)) items.push(element("li", {}, `${name(c.leaf)}: norm ${number(c.before)} becomes ${number(c.after)}, cosine ${number(c.cosine)}`));
  if (doubled.changes.length > 12) items.push(element("li", {}, `another gradient: ${doubled.changes.length - 12} more leaves`));
  if (doubled.partly.length) items.push(element("li", {}, `a part more, which t.doubled(node) measures: ${listed(doubled.partly.map(name))}`));
  const rest = DATA.leaves.length - doubled.twice.length - doubled.changes.length - doubled.partly.length;
  if (rest) items.push(element("li", {}, `unchanged: the other ${rest} of ${DATA.leaves.length} leaves`));
  return [element("h3", {}, "If this gradient were doubled"), element("ul", { id: "doubled" }, items)];
}

function checked(node, step) {
  const title = element("h3", {}, "Finite differences");
  if (step.context.outer) return [];
  if (!node.check) return [title, element("div", { class: "where" }, `Not made: t.check(${step.n}) before t.html(...) measures them and asks the gradient doctor.`)];
  const rows = node.check.slopes.map((s) => element("tr", { class: s.ok ? "" : "alarm" }, element("th", {}, `${s.of}${s.at.length ? `[${s.at.join(", ")}]` : ""}`), element("td", {}, number(s.gradient)), element("td", {}, number(s.measured)), element("td", {}, s.ok ? "agrees" : "differs")));
  const verdict = node.check.findings.length ? node.check.findings.map((f) => element("li", { class: "alarm" }, f)) : [element("li", {}, "The gradient doctor finds nothing wrong with the op.")];
  return [title, element("div", { class: "wide" }, element("table", { id: "check" }, element("tr", {}, ...["", "gradient", "measured", ""].map((h) => element("th", {}, h))), rows)), element("ul", {}, verdict, node.check.notes.map((n) => element("li", {}, n)))];
}

function leavesDetail() {
  const cards = DATA.leaves.map((leaf) => {
    const name = DATA.values[leaf.value].label || "leaf";
    const by = leaf.arrived.length > 1 ? equation(TOP, DATA.values[leaf.gradient ?? leaf.arrived[0].value], leaf.arrived) : null;
    if (leaf.gradient === null) return card(`${name}: no .grad`, DATA.values[leaf.value]);
    return card(name, DATA.values[leaf.gradient], by, ...besideLeaf(name));
  });
  return [element("h2", {}, "The leaves have their gradients"), element("p", { class: "where" }, "They are added to .grad at the very end, so that an error on the way changes none."), element("div", { class: "cards" }, cards)];
}

// -- memory ---------------------------------------------------------------------------------------------------------------

const ALIVE = [...DATA.nodes.map((node) => node.alive), ...DATA.visits.map((visit) => visit.alive)];

function memory(step) {
  const outer = outermost(step), most = Math.max(1, ...ALIVE);
  const place = outer.kind === "forward" ? outer.n : DATA.nodes.length + outer.v;
  const x = (i) => (ALIVE.length > 1 ? (400 * i) / (ALIVE.length - 1) : 0), y = (n) => 60 - 56 * (n / most);
  const line = ALIVE.map((n, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(n).toFixed(1)}`).join(" ");
  const svg = drawn("svg", { class: "memory", viewBox: "0 0 400 64", preserveAspectRatio: "none", role: "img", "aria-label": "memory alive, step by step" },
    drawn("path", { d: `${line} L${x(ALIVE.length - 1)} 62 L0 62 Z` }), drawn("line", { x1: x(place), x2: x(place), y1: 2, y2: 62 }));
  return element("div", {}, `${bytes(ALIVE[place])} alive of what the steps made; at most ${bytes(most)}`, svg);
}

function outermost(step) {
  if (!step.context.outer) return step;
  let { context, n } = step.context.outer;
  while (context.outer) ({ context, n } = context.outer);
  return { kind: step.kind, n, v: DATA.visits.findLastIndex((visit) => visit.node === n) };
}

// -- beside PyTorch -------------------------------------------------------------------------------------------------------

function besideOf(step, kind) {
  return DATA.beside && step.context && !step.context.outer ? DATA.beside.nodes[step.n]?.[kind] : undefined;
}

// Of the result at first; of the gradient, too, once it has come.
function besideMark(row, reached) {
  const found = DATA.beside && !row.context.outer && DATA.beside.nodes[row.n];
  const sides = found ? [found.forward, reached ? found.backward : undefined].filter(Boolean) : [];
  if (!sides.length) return "";
  const ok = sides.every((side) => side.ok), words = sides.map((side) => `${side.name} is ${number(side.difference)} of the largest element apart`);
  return element("span", { class: `beside ${ok ? "good" : "bad"}`, title: `PyTorch: ${words.join(", ")}` }, ok ? "= torch " : "≠ torch ");
}

function besideCard(step) {
  const found = besideOf(step, step.kind);
  if (!found) return null;
  const made = card(`in PyTorch: ${found.name}`, found.value, besideWords(found));
  made.classList.add("torch");
  return made;
}

function besideWords(found) {
  const words = `${number(found.difference)} of the largest element apart${found.first ? ": the first difference" : ""}`;
  return element("div", { class: found.ok ? "good" : "bad" }, words);
}

function besideLeaf(name) {
  const found = DATA.beside?.leaves[name];
  return found ? [element("div", { class: "label" }, "in PyTorch"), ...array(found.value), besideWords(found)] : [];
}

function banner() {
  if (!DATA.beside) return;
  const { first } = DATA.beside;
  $("banner").hidden = false;
  if (!first) $("banner").append(`Beside PyTorch: ${DATA.beside.compared} arrays compared, none differs.`);
  else $("banner").append(element("span", {}, "First difference from PyTorch: ", element("a", { href: "#", onclick: (event) => { event.preventDefault(); toFirst(first); } }, first.words)));
}

function toFirst(first) {
  const found = state.steps.findIndex((step) => step.kind === first.kind && (first.kind === "leaves" || step.key === String(first.node) || step.key.startsWith(`${first.node}/`)));
  if (found >= 0) go(found);
}

// -- breakpoints ----------------------------------------------------------------------------------------------------------

function wanted() {
  const figure = (id) => ($(id).value === "" ? null : Number($(id).value));
  return { nan: $("on-nan").checked, zero: $("on-zero").checked, norm: figure("on-norm"), dead: figure("on-dead"), module: $("on-module").value.trim() };
}

function reasons(step, want) {
  if (step.kind === "leaves") return [];
  const { graph } = step.context, node = graph.nodes[step.n], found = [], visit = step.kind === "backward" ? graph.visits[step.v] : null;
  const out = visit ? visit.sent.map((sent) => graph.values[sent.value]) : node.outputs.map((i) => graph.values[i]);
  const all = visit ? [...out, ...visit.gradients.filter((i) => i !== null).map((i) => graph.values[i])] : out;
  if (want.nan && all.some(broken)) found.push("NaN or infinity");
  if (want.zero && visit && out.some((value) => value.zeros === 1 && size(value) > 0)) found.push("a gradient is all zero");
  if (want.norm !== null && visit && out.some((value) => value.norm > want.norm)) found.push(`a norm above ${number(want.norm)}`);
  if (want.dead !== null && !visit && node.dead !== null && 100 * node.dead >= want.dead) found.push(`${number(100 * node.dead)} % dead units`);
  const module = step.context.outer ? "" : node.module;
  if (want.module && (module === want.module || module.startsWith(`${want.module}.`) || module.startsWith(`${want.module}-`))) found.push(`module ${module}`);
  return found;
}

function findHits() {
  const want = wanted();
  state.hits = state.steps.map((step) => reasons(step, want));
  const at = state.hits.flatMap((found, i) => (found.length ? [i] : []));
  $("count").textContent = at.length ? `(${at.length} steps)` : "(none hit)";
  const place = (i) => (state.steps.length > 1 ? (100 * i) / (state.steps.length - 1) : 0);
  $("hits").replaceChildren(...at.map((i) => element("i", { style: `left:${place(i)}%`, title: state.hits[i].join(", ") })));
}

function toBreak() {
  const after = state.hits.findIndex((found, i) => i > state.at && found.length);
  const target = after >= 0 ? after : state.hits.findIndex((found) => found.length);
  if (target >= 0) go(target);
}

// -- moving ---------------------------------------------------------------------------------------------------------------

function go(at) {
  if (!state.steps.length) return;
  state.at = Math.max(0, Math.min(state.steps.length - 1, at));
  const step = state.steps[state.at];
  $("slider").value = state.at;
  $("position").textContent = positionWords(step);
  fillRows();
  const hit = state.hits[state.at].length ? element("p", { class: "alarm" }, `Breakpoint: ${state.hits[state.at].join(", ")}`) : null;
  const details = { forward: forwardDetail, backward: backwardDetail, leaves: leavesDetail }[step.kind](step);
  $("detail").replaceChildren(...[hit, ...details].flat().filter(Boolean));
  $("detail").scrollTop = 0;
  reveal(state.rows.find((row) => row.key === step.key));
}

function positionWords(step) {
  const of = (kind) => state.steps.filter((s) => s.kind === kind);
  const inWords = step.kind === "leaves" ? "the end" : `${step.kind} ${of(step.kind).indexOf(step) + 1} of ${of(step.kind).length}`;
  return `step ${state.at + 1} of ${state.steps.length}: ${inWords}`;
}

function reveal(row) {
  if (!row) return;
  const graph = $("graph"), margin = Math.min(120, graph.clientHeight / 4);
  if (row.top < graph.scrollTop + margin || row.top + ROW > graph.scrollTop + graph.clientHeight - margin) graph.scrollTop = row.top - graph.clientHeight / 2;
}

function toTurn() {
  const at = state.steps.findIndex((step) => step.kind === "backward");
  if (at >= 0) go(at);
}

function onKey(event) {
  const typing = ["number", "text"].includes(event.target.type);
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = state.steps[state.at];
  const moves = {
    ArrowRight: () => go(state.at + 1), ArrowLeft: () => go(state.at - 1), ArrowDown: () => go(state.at + 1), ArrowUp: () => go(state.at - 1),
    Home: () => go(0), End: () => go(state.steps.length - 1), b: toTurn, c: toBreak,
    u: () => { if (step.context?.graph.nodes[step.n].inner) toggle(step.key); else if (step.context?.outer) toggle(step.context.prefix.slice(0, -1)); },
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
}

function start() {
  legend();
  banner();
  $("first").onclick = () => go(0);
  $("back").onclick = () => go(state.at - 1);
  $("next").onclick = () => go(state.at + 1);
  $("last").onclick = () => go(state.steps.length - 1);
  $("turn").onclick = toTurn;
  $("break").onclick = toBreak;
  $("slider").oninput = () => go(Number($("slider").value));
  for (const id of ["on-nan", "on-zero", "on-norm", "on-dead", "on-module"]) $(id).oninput = () => { findHits(); go(state.at); };
  document.addEventListener("keydown", onKey);
  if (DATA.nodes.length) rebuild();
  else $("detail").append("Nothing ran within the trace.");
}

start();
