"use strict";
(() => {
  const SCALE = 10000, PAGE = 24, GALLERY = 12;  // listing.py has SCALE as well
  const data = JSON.parse(document.getElementById("data").textContent);

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  const percent = (value) => `${(100 * value / SCALE).toFixed(1)}\u00a0%`;

  class Rows {
    constructor(task) {
      this.task = task;
      this.all = task.name.map((_, row) => row);
      this.accepted = task.runs.map((run) => new Set(run.accepted));
      this.paths = task.name.map((name, row) => {
        const folder = task.folders[task.folder[row]];
        return folder ? `${folder}/${name}` : name;
      });
    }
    predicted(run, row) { return this.task.runs[run].predicted[row]; }
    confidence(run, row) { return this.task.runs[run].values[row][0]; }
    isRight(run, row) { return this.predicted(run, row) === this.task.truth[row]; }
    isMistake(run, row) { return !this.isRight(run, row) && !this.accepted[run].has(row); }
    order(rows, run, order) {
      const direction = order === "unsure" ? 1 : -1;
      if (order === "path") return rows.sort((a, b) => (this.paths[a] < this.paths[b] ? -1 : 1));
      return rows.sort((a, b) => direction * (this.confidence(run, a) - this.confidence(run, b)) || a - b);
    }
    picture(content, alt = "") {
      const image = element("img");
      image.alt = alt;
      image.src = `data:image/jpeg;base64,${content}`;
      return image;
    }
    /* What speaks for classes: overlays are pairs of a class and a picture. */
    overlays(pairs) {
      const list = element("div", undefined, "overlays");
      for (const [index, content] of pairs) {
        const figure = element("figure"), caption = element("figcaption"), name = this.task.classes[index];
        caption.append("for ", element("bdi", name));
        figure.append(this.picture(content, `Pixels that speak for ${name}`), caption);
        list.append(figure);
      }
      return list;
    }
    card(run, row, overlays = []) {
      const task = this.task, item = element("li"), found = task.runs[run];
      const picture = task.picture[row];
      if (picture < 0) item.append(element("div", "no thumbnail", "none"));
      else item.append(this.picture(task.pictures[picture]));
      if (overlays.length) item.append(this.overlays(overlays));
      const right = this.isRight(run, row), predicted = this.predicted(run, row);
      const line = (label, name, className) => {
        const made = element("p", label, className), text = element("bdi");
        text.append(element("strong", name));
        made.append(text);
        item.append(made);
        return made;
      };
      const values = new Map(found.top[row].map((index, at) => [index, found.values[row][at]]));
      const truth = line("true: ", task.classes[task.truth[row]]);
      if (found.true[row] >= 0) truth.append(` ${percent(found.true[row])}`);
      const mark = right ? "✓ " : "✗ ";
      const accepted = this.accepted[run].has(row) ? ", also accepted" : "";
      const share = values.has(predicted) ? ` ${percent(values.get(predicted))}` : "";
      line(`${mark}predicted: `, task.classes[predicted], right ? "is-right" : "is-wrong").append(`${share}${accepted}`);
      const others = element("p", undefined, "quiet");
      for (const [index, value] of values) {
        if (index === task.truth[row] || index === predicted) continue;
        if (others.childNodes.length) others.append(", ");
        others.append(element("bdi", task.classes[index]), ` ${percent(value)}`);
      }
      const path = element("code");
      path.append(element("bdi", this.paths[row]));
      item.append(others, path);
      return item;
    }
  }

  class Browser {
    constructor(section, rows) {
      this.section = section;
      this.rows = rows;
      this.root = section.querySelector(".browser");
      this.form = this.root.querySelector("form");
      this.list = this.root.querySelector(".gallery");
      this.more = this.root.querySelector(".more");
      this.status = this.root.querySelector(".status");
      for (const name of ["truth", "predicted"]) {
        const select = this.form.elements[name];
        select.append(new Option("any", ""));
        rows.task.classes.forEach((text, index) => select.append(new Option(text, index)));
      }
      this.form.addEventListener("input", () => this.refresh());
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.querySelector("button").addEventListener("click", () => this.choose({}));
      this.more.addEventListener("click", () => this.extend());
      this.refresh();
    }
    get run() { return Number(this.form.elements.run?.value ?? 0); }
    /* Of a label that stands for several classes, others has those that are not among them. */
    choose(values, note, others) {
      this.form.reset();
      for (const [name, value] of Object.entries(values)) {
        if (this.form.elements[name]) this.form.elements[name].value = value;
      }
      this.others = others;
      this.refresh(note);
    }
    open(values, note, others) {
      this.choose(values, note, others);
      const heading = this.root.querySelector("h4");
      heading.focus({ preventScroll: true });
      heading.scrollIntoView({ block: "start" });
    }
    fits(row) {
      const { show, truth, predicted, text } = this.form.elements, run = this.run, rows = this.rows;
      const is = rows.predicted(run, row), should = rows.task.truth[row];
      if (truth.value !== "" && should !== Number(truth.value)) return false;
      if (predicted.value !== "" && is !== Number(predicted.value)) return false;
      if (this.others?.truth && this.others.classes.has(should)) return false;
      if (this.others?.predicted && this.others.classes.has(is)) return false;
      if (text.value && !rows.paths[row].toLowerCase().includes(text.value.toLowerCase())) return false;
      if (show.value === "mistakes") return rows.isMistake(run, row);
      if (show.value === "correct") return rows.isRight(run, row);
      if (show.value.startsWith("only")) {
        const [, right, wrong] = show.value.split(" ").map(Number);
        return rows.isRight(right, row) && !rows.isRight(wrong, row);
      }
      return true;
    }
    refresh(note) {
      const fitting = this.rows.all.filter((row) => this.fits(row));
      this.found = this.rows.order(fitting, this.run, this.form.elements.order.value);
      this.list.replaceChildren();
      this.status.textContent = `${this.found.length.toLocaleString("en")} images listed${note ? ` ${note}` : ""}.`;
      this.extend();
    }
    extend() {
      const start = this.list.childElementCount;
      for (const row of this.found.slice(start, start + PAGE)) this.list.append(this.rows.card(this.run, row));
      this.more.hidden = this.list.childElementCount >= this.found.length;
    }
  }

  function fillGalleries(section, rows) {
    for (const list of section.querySelectorAll(".gallery[data-show]")) {
      const run = Number(list.dataset.run), { mistakes, overlays } = rows.task.runs[run];
      if (list.dataset.show === "mistakes") {
        list.append(...mistakes.map((row, at) => rows.card(run, row, overlays[at])));
        if (!mistakes.length) list.replaceWith(element("p", "There are none."));
      } else {
        const chosen = rows.order([...rows.all], run, "unsure").slice(0, GALLERY);
        list.append(...chosen.map((row) => rows.card(run, row)));
      }
    }
  }

  /* One stop of the Tab key for a whole matrix: arrow keys move within it. */
  function moveByArrows(table) {
    const buttons = [...table.querySelectorAll("button")];
    const places = new Map(buttons.map((each) => [each, each.dataset.at.split(" ").map(Number)]));
    buttons.forEach((each, at) => { each.tabIndex = at ? -1 : 0; });
    table.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const here = places.get(event.target);
      if (!step || !here) return;
      event.preventDefault();
      const ahead = buttons.filter((each) => {
        const [row, column] = places.get(each);
        return step[0] ? column === here[1] && (row - here[0]) * step[0] > 0
          : row === here[0] && (column - here[1]) * step[1] > 0;
      });
      const next = step[0] + step[1] > 0 ? ahead[0] : ahead[ahead.length - 1];
      if (!next) return;
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  function openCell(browser, table, button) {
    const classes = table.dataset.classes.split(" ").map(Number);
    const [truth, predicted] = button.dataset.at.split(" ").map((at) => classes[at]);
    const others = { classes: new Set(classes), truth: truth < 0, predicted: predicted < 0 };
    const values = { run: table.dataset.run, truth: truth < 0 ? "" : truth, predicted: predicted < 0 ? "" : predicted };
    browser.section.querySelectorAll(".chosen").forEach((each) => each.classList.remove("chosen"));
    button.parentElement.classList.add("chosen");
    browser.open(values, `of ${button.querySelector(".count").textContent} in this cell`, others);
  }

  function connect(section) {
    const rows = new Rows(data[Number(section.dataset.task)]);
    const browser = new Browser(section, rows);
    fillGalleries(section, rows);
    for (const table of section.querySelectorAll(".matrix")) {
      moveByArrows(table);
      table.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button) openCell(browser, table, button);
      });
    }
    for (const input of section.querySelectorAll(".units input")) {
      input.addEventListener("change", () => section.classList.toggle("shares", input.value === "share"));
    }
    for (const button of section.querySelectorAll("button.pair")) {
      const [truth, predicted] = button.dataset.pair.split(" ");
      button.addEventListener("click", () => browser.open({ run: button.dataset.run, truth, predicted }, `of ${button.textContent}`));
    }
    for (const button of section.querySelectorAll("button.only")) {
      const { right, wrong } = button.dataset;
      button.addEventListener("click", () => browser.open({ run: right, show: `only ${right} ${wrong}` }, `of ${button.textContent}`));
    }
  }

  function makeSortable(table) {
    const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const value = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent;
    headings.forEach((heading, at) => heading.querySelector("button")?.addEventListener("click", () => {
      const isNumber = heading.classList.contains("number");
      const before = heading.getAttribute("aria-sort");
      const order = before === (isNumber ? "descending" : "ascending") ? -1 : 1;
      const direction = isNumber ? -order : order;
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const compare = (a, b) => {
        if (!isNumber) return direction * a.localeCompare(b, "en", { numeric: true });
        const [x, y] = [Number(a), Number(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return direction * (x - y);
      };
      body.append(...[...body.rows].sort((a, b) => compare(value(a, at), value(b, at))));
    }));
  }

  function makeFilter(input) {
    const rows = [...input.closest(".classes").querySelector("tbody").rows];
    input.addEventListener("input", () => {
      for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(input.value.toLowerCase());
    });
  }

  document.querySelectorAll("section.task").forEach(connect);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll("input.filter").forEach(makeFilter);
})();
