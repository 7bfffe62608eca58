"use strict";
const setup = JSON.parse(document.getElementById("setup").textContent);
const byId = (id) => document.getElementById(id);
const one = byId("one"), grid = byId("grid"), classes = byId("classes");
const pages = new Map();
let at = setup.next ?? 0, decided = setup.decided, inGrid = false, queue = Promise.resolve();

// An element with properties and children; all text is set as text, never as markup.
function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// Without a value of its own, an option would have its text without double blanks and line breaks.
classes.append(...setup.classes.map((name) => make("option", { value: name }, name)));

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

async function itemAt(number) {
  const page = Math.floor(number / setup.page);
  if (!pages.has(page)) pages.set(page, await ask(`items/${page}`));
  return pages.get(page)[number % setup.page];
}

function replace(item) {
  const page = pages.get(Math.floor(item.item / setup.page));
  if (page) page[item.item % setup.page] = item;
}

const picture = (image) => make("img", { src: `images/${image.image}`, alt: image.path, loading: "lazy" });

function figure(image) {
  const name = image.path.split("/").pop();
  const caption = make("figcaption", {}, `${image.label}, ${image.split}`, make("br"), name);
  return make("figure", { title: image.path }, picture(image), caption);
}

function decisionText(item) {
  if (!item.decision) return "";
  return { correct: `corrected to ${item.decision.new_label}`, drop: "dropped", keep: "label kept" }[item.decision.action];
}

function probability(name, value) {
  const fill = make("div", {});
  fill.style.width = `${100 * Number(value)}%`;
  return make("div", {}, `${name}: ${Number(value).toFixed(2)}`, make("div", { className: "bar" }, fill));
}

function others(title, images) {
  return images.length ? [make("h3", {}, title), make("div", { className: "others" }, ...images.map(figure))] : [];
}

function details(item) {
  const parts = [make("h2", {}, `Label: ${item.label}`)];
  if (item.suggested) parts.push(make("p", {}, "Suggested: ", make("strong", {}, item.suggested)));
  if (decisionText(item)) parts.push(make("p", { className: "decision" }, decisionText(item)));
  if (item.suggested) {
    parts.push(probability(item.suggested, item.suggested_probability), probability(item.label, item.label_probability));
  }
  if (item.reason) parts.push(make("p", { className: "quiet" }, item.reason));
  return [...parts, ...others("Look alike", item.similar), ...others(`Other images of ${item.suggested}`, item.examples)];
}

async function showOne() {
  const item = await itemAt(at);
  const caption = make("figcaption", {}, `${at + 1} of ${setup.count}: ${item.path} (${item.split})`);
  one.replaceChildren(make("figure", {}, picture(item), caption), make("div", {}, ...details(item)));
  classes.value = item.suggested || item.label;
}

async function showGrid() {
  await itemAt(at);
  const page = Math.floor(at / setup.page);
  const cells = pages.get(page).map((item) => {
    const text = decisionText(item);
    const cell = make("button", { className: text ? "decided" : "" }, picture(item), `${item.label}`);
    if (item.suggested) cell.append(` → ${item.suggested}`);
    if (text) cell.append(make("div", { className: "decision" }, text));
    cell.addEventListener("focus", () => { at = item.item; classes.value = item.suggested || item.label; });
    cell.addEventListener("click", () => { at = item.item; inGrid = false; show(); });
    return cell;
  });
  grid.replaceChildren(...cells);
  cells[at % setup.page].focus();
}

async function show() {
  byId("progress").textContent = `${decided} of ${setup.count} decided.`;
  one.hidden = inGrid;
  grid.hidden = !inGrid;
  document.getElementById("view").textContent = inGrid ? "One image" : "Grid";
  await (inGrid ? showGrid() : showOne());
}

function move(step) {
  at = Math.min(Math.max(at + step, 0), setup.count - 1);
  return show();
}

async function decide(action, newLabel = "") {
  const answer = await ask("decisions", { item: at, action, new_label: newLabel });
  replace(answer.item);
  decided = answer.decided;
  await move(1);
}

async function undo() {
  const answer = await ask("undo", {});
  if (!answer.item) throw new Error("There is nothing to undo in this session.");
  replace(answer.item);
  decided = answer.decided;
  at = answer.item.item;
  await show();
}

async function accept() {
  const item = await itemAt(at);
  if (!item.suggested) throw new Error("No class is suggested: correct the label, keep it or drop the image.");
  await decide("correct", item.suggested);
}

const columns = () => getComputedStyle(grid).gridTemplateColumns.split(" ").length;
const actions = {
  a: accept,
  k: () => decide("keep"),
  c: () => classes.focus(),
  d: () => decide("drop"),
  s: () => move(1),
  b: () => move(-1),
  u: undo,
  g: () => { inGrid = !inGrid; return show(); },
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  ArrowDown: () => inGrid && move(columns()),
  ArrowUp: () => inGrid && move(-columns()),
};

// Actions run one after the other, so that fast keys decide about the image that they should.
function run(action) {
  queue = queue.then(async () => {
    byId("error").textContent = "";
    try {
      await action();
    } catch (error) {
      byId("error").textContent = error.message;
    }
  });
}

function choose(event) {
  if (event.key !== "Enter" && event.key !== "Escape") return;
  event.preventDefault();
  classes.blur();
  if (event.key === "Enter") run(() => decide("correct", classes.value));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === classes) return choose(event);
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  run(action);
});
byId("actions").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) run(button.dataset.key === "c" ? () => decide("correct", classes.value) : actions[button.dataset.key]);
});
run(show);
