"""
The script of the page that `doteval report` writes: the table of records, and one record at a time.

The page's policy names it by its digest: nothing else can run, and nothing can be fetched. It makes
every node with `createElement` and shows texts as text; the policy forbids it to parse HTML. Only
the rows in sight exist, and texts are read from their elements when they are asked for.
"""

from __future__ import annotations

SCRIPT = r"""
(() => {
"use strict";
const id = (name) => document.getElementById(name);
const facts = JSON.parse(id("facts").textContent);
const [RIGHT, WRONG, FAILED, SCORED] = [0, 1, 2, 3];
const VERDICTS = [["right", "good"], ["wrong", "warn"], ["failed", "bad"], ["scored", ""]];
const FLIPS = ["", "worse", "better"];
// A row of the table, as the page holds it.
const [EVAL, AT, REPEAT, IS, FLIP, SECONDS, TRIES, SCORES, ROW, ANSWER] = [...Array(10).keys()];

const rows = [], place = [];
const folded = [...document.querySelectorAll("script.texts")];
const opened = [];
document.querySelectorAll("script.rows").forEach((script, part) => {
  JSON.parse(script.textContent).forEach((row, index) => {
    rows.push(row);
    place.push([part, index]);
  });
  script.remove();
});
function textsOf(number) {
  const [part, index] = place[number];
  opened[part] ??= JSON.parse(folded[part].textContent);
  return opened[part][index];
}

// --- what is shown, and in which order

const state = {find: null, only: "all", evaluation: -1, by: "at", down: false};
let view = [];
// What a column is sorted by; null, for what has no such value, stands at the end either way.
const KEYS = {
  at: (row) => row[EVAL] * 1e10 + row[AT] + row[REPEAT] / 1e5,
  is: (row) => [3, 1, 0, 2][row[IS]],
  time: (row) => row[SECONDS],
  tries: (row) => row[TRIES],
  row: (row) => row[ROW],
  answer: (row) => row[ANSWER],
};
facts.scores.forEach((_, column) => {
  KEYS["score" + column] = (row) => {
    const value = row[SCORES][column];
    return value === true ? 1 : value === false ? 0 : typeof value === "number" ? value : null;
  };
});
function sorted(numbers, by, down) {
  const key = KEYS[by], sign = down ? -1 : 1;
  const keyed = numbers.map((number) => [key(rows[number]), KEYS.at(rows[number]), number]);
  keyed.sort(([a, first], [b, second]) => {
    if (a === b) return first - second;
    if (a === null || b === null) return a === null ? 1 : -1;
    return sign * (a < b ? -1 : 1);
  });
  return keyed.map((each) => each[2]);
}
const KEEPS = {
  all: () => true,
  failed: (row) => row[IS] === FAILED,
  wrong: (row) => row[IS] === WRONG,
  right: (row) => row[IS] === RIGHT,
  flipped: (row) => row[FLIP] > 0,
  worse: (row) => row[FLIP] === 1,
  better: (row) => row[FLIP] === 2,
};
const breathe = () => new Promise((go) => setTimeout(go));
let turn = 0;

async function choose() {
  const mine = ++turn, keeps = KEEPS[state.only];
  let found = [];
  for (let number = 0; number < rows.length; number++) {
    const row = rows[number];
    if (keeps(row) && (state.evaluation < 0 || row[EVAL] === state.evaluation)) found.push(number);
  }
  if (state.find) {
    const matching = [];
    let since = performance.now();
    for (const number of found) {
      if (matches(number)) matching.push(number);
      if (performance.now() - since > 12) {  // the page stays fluid however many texts there are
        tell(`searching… ${matching.length.toLocaleString("en")} so far`);
        await breathe();
        if (mine !== turn) return;
        since = performance.now();
      }
    }
    found = matching;
  }
  view = sorted(found, state.by, state.down);
  const all = rows.length.toLocaleString("en"), some = view.length.toLocaleString("en");
  const plain = view.length === rows.length;
  tell(plain ? `${all} ${rows.length === 1 ? "record" : "records"}` : `${some} of ${all} records`);
  table.setAttribute("aria-rowcount", view.length + 1);
  id("none").hidden = view.length > 0;
  table.hidden = view.length === 0;
  draw(true);
  document.documentElement.dataset.shown = String(mine);
}
function matches(number) {
  const row = rows[number];
  if (state.find.test(row[ROW]) || state.find.test(row[ANSWER])) return true;
  return textsOf(number).some((text) => state.find.test(text[2]));
}
function tell(sentence) {
  if (id("told").textContent !== sentence) id("told").textContent = sentence;
}

// --- the table: only the rows in sight exist

const table = id("records");
const [above, body, below] = [id("above"), table.tBodies[0], id("below")];
const shown = new Map();
let height = 36;

function draw(anew) {
  if (anew) {
    shown.forEach((line) => line.remove());
    shown.clear();
  }
  if (!view.length) return;
  const top = body.getBoundingClientRect().top;
  const count = Math.ceil(innerHeight / height);
  const first = Math.max(0, Math.min(Math.floor(-top / height), view.length - count) - 12);
  fill(first, Math.min(view.length, first + count + 24));
}
function fill(first, last) {
  const focused = document.activeElement;
  for (const [at, line] of shown) {
    if ((at < first || at >= last) && !line.contains(focused)) {
      line.remove();
      shown.delete(at);
    }
  }
  let next = below;
  for (let at = last - 1; at >= first; at--) {
    let line = shown.get(at);
    if (!line) {
      line = made(at);
      shown.set(at, line);
      body.insertBefore(line, next);
    }
    next = line;
  }
  // A focused row that was scrolled away stays, without taking any place.
  let stray = 0;
  for (const at of shown.keys()) stray += at < first ? 1 : at >= last ? 1e6 : 0;
  above.style.height = `${Math.max(0, first - (stray % 1e6)) * height}px`;
  below.style.height = `${Math.max(0, view.length - last - Math.floor(stray / 1e6)) * height}px`;
}
function node(tag, attributes, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}
function pill([word, tone]) {
  return node("span", {class: `pill ${tone}`}, word);
}
function isolated(text) {
  return node("bdi", {}, text);
}
function figure(value) {
  if (value === true) return "✓";
  if (value === false) return "✗";
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", {maximumSignificantDigits: 4});
}
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 0.0005) return "<1 ms";
  if (seconds < 0.4995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
function called(row) {
  const some = row[REPEAT] ? `.${row[REPEAT]}` : "";
  return `${row[AT].toLocaleString("en")}${some}`;
}
function made(at) {
  const row = rows[view[at]];
  const open = node("button", {type: "button", "aria-haspopup": "dialog"}, called(row));
  open.setAttribute("aria-label", `row ${called(row)}, open`);
  const is = node("td", {}, pill(VERDICTS[row[IS]]));
  if (row[FLIP]) {
    const arrow = node("span", {class: row[FLIP] === 1 ? "bad" : "good"});
    arrow.append(row[FLIP] === 1 ? " ▼" : " ▲", node("span", {class: "hidden"}, FLIPS[row[FLIP]]));
    is.append(arrow);
  }
  const line = node("tr", {class: "row", "aria-rowindex": at + 2}, node("td", {}, open), is);
  line.append(node("td", {}, isolated(row[ROW])));
  line.append(node("td", {class: row[IS] === FAILED ? "bad" : ""}, isolated(row[ANSWER])));
  for (let column = 0; column < facts.columns; column++) {
    const value = row[SCORES][column];
    const tone = value === true ? " good" : value === false ? " warn" : "";
    const more = column > 1 ? " wider" : "";
    line.append(node("td", {class: `num wide${more}${tone}`}, figure(value)));
  }
  line.append(node("td", {class: "num wide"}, duration(row[SECONDS])));
  if (facts.retried) line.append(node("td", {class: "num wide"}, String(row[TRIES])));
  line.number = at;
  return line;
}

// --- one record

const dialog = id("detail");
let current = 0, restore = null;

function open(at) {
  current = at;
  const number = view[at], row = rows[number];
  id("title").replaceChildren(`Row ${called(row)} `, pill(VERDICTS[row[IS]]));
  if (row[FLIP]) {
    const tone = row[FLIP] === 1 ? "bad" : "good";
    id("title").append(" ", pill([`${FLIPS[row[FLIP]]} than ${facts.baseline}`, tone]));
  }
  id("count").textContent =
    `${(at + 1).toLocaleString("en")} of ${view.length.toLocaleString("en")}`;
  id("before").disabled = at === 0;
  id("after").disabled = at === view.length - 1;
  const list = node("dl", {class: "figures"});
  const fact = (name, value) =>
    list.append(node("div", {}, node("dt", {}, name), node("dd", {}, value)));
  facts.scores.forEach((name, column) => {
    if (row[SCORES][column] !== null) fact(name, figure(row[SCORES][column]));
  });
  fact("latency", duration(row[SECONDS]));
  const texts = id("texts");
  texts.replaceChildren(node("p", {class: "soft name"}, facts.evaluations[row[EVAL]]), list);
  for (const [kind, label, text, more] of textsOf(number)) {
    if (kind === "f") {
      fact(label, text);
      continue;
    }
    const tone = {a: "answer", b: "before", e: "bad"}[kind] ?? "";
    const block = node("pre", {class: tone, dir: "auto", tabindex: "-1"});
    block.append(...marked(text));
    texts.append(node("h3", {}, label), block);
    if (more) {
      const count = more.toLocaleString("en");
      texts.append(node("p", {class: "soft"}, `… ${count} more characters are not in this file`));
    }
  }
  if (!dialog.open) {
    restore = at;
    dialog.showModal();
  }
  dialog.scrollTop = 0;
}
function marked(text) {
  if (!state.find) return [text];
  const every = new RegExp(state.find.source, "giu"), parts = [];
  let from = 0;
  for (const match of text.matchAll(every)) {
    if (parts.length > 1000) break;
    parts.push(text.slice(from, match.index), node("mark", {}, match[0]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}
function step(by) {
  const to = current + by;
  if (to >= 0 && to < view.length) open(to);
}
function goTo(at) {
  const to = Math.max(0, Math.min(at, view.length - 1));
  const top = body.getBoundingClientRect().top + scrollY;
  const y = top + to * height, head = table.tHead.getBoundingClientRect().bottom;
  if (y - scrollY < head + height) scrollTo(0, Math.max(0, y - head - height));
  else if (y - scrollY > innerHeight - 2 * height) scrollTo(0, y - innerHeight + 3 * height);
  draw(false);
  shown.get(to)?.querySelector("button").focus({preventScroll: true});
}

// --- what the reader does

let waiting = 0;
id("find").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const words = id("find").value.trim();
    const plain = words.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    state.find = words ? new RegExp(plain, "iu") : null;
    choose();
  }, 120);
});
document.querySelectorAll("input[name=only]").forEach((input) => {
  input.addEventListener("change", () => {
    state.only = input.value;
    choose();
  });
});
id("which")?.addEventListener("change", (event) => {
  state.evaluation = Number(event.target.value);
  choose();
});
table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const by = button.dataset.by, cell = button.parentElement;
  const first = by === "time" || by === "tries";  // the longest is what one looks for
  state.down = state.by === by ? !state.down : first;
  state.by = by;
  table.querySelectorAll("th[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
  cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
  choose();
});
body.addEventListener("click", (event) => {
  const line = event.target.closest("tr.row");
  if (line && !getSelection().toString()) open(line.number);
});
body.addEventListener("keydown", (event) => {
  const line = event.target.closest("tr.row");
  if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(innerHeight / height) - 4);
  const moves = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
    Home: -view.length, End: view.length};
  if (!(event.key in moves)) return;
  event.preventDefault();
  goTo(line.number + moves[event.key]);
});
dialog.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowRight" || event.key === "j") step(1);
  if (event.key === "ArrowLeft" || event.key === "k") step(-1);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => {
  if (restore !== null) goTo(current);
  restore = null;
});
id("before").addEventListener("click", () => step(-1));
id("after").addEventListener("click", () => step(1));
id("close").addEventListener("click", () => dialog.close());
id("clear").addEventListener("click", () => {
  id("find").value = "";
  state.find = null;
  state.only = "all";
  state.evaluation = -1;
  if (id("which")) id("which").value = "-1";
  document.querySelector("input[name=only][value=all]").checked = true;
  choose();
  id("find").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
      && !dialog.open) {
    event.preventDefault();
    id("find").focus();
  }
});
let asked = false;
function later() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw(false);
  });
}
function measure() {
  const root = parseFloat(getComputedStyle(document.documentElement).fontSize);
  height = 2.25 * root;
  const bar = id("tools").getBoundingClientRect().height;
  document.documentElement.style.setProperty("--bar", `${bar}px`);
  later();
}
addEventListener("scroll", later, {passive: true});
addEventListener("resize", measure);
const PRINTED = 200;
let folds = [];
addEventListener("beforeprint", () => {
  folds = [...document.querySelectorAll("details.evaluation:not([open])")];
  folds.forEach((fold) => { fold.open = true; });  // paper can not be clicked on
  fill(0, Math.min(view.length, PRINTED));
  above.style.height = below.style.height = "0";
  if (view.length > PRINTED) {
    tell(`the first ${PRINTED} of ${view.length.toLocaleString("en")} records that are chosen`);
  }
});
addEventListener("afterprint", () => {
  folds.forEach((fold) => { fold.open = false; });
  choose();
});

if (rows.length) {
  id("tools").hidden = false;
  measure();
  new ResizeObserver(measure).observe(id("tools"));  // its lines break, and what it tells changes
  choose();
}
})();
""".strip()
