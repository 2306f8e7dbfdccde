"""
The style of the page that `doteval report` writes.

It is text in a module, and not a file beside it, so that a copy of the package in a zip has it too.
The page's policy names it by its digest: no other style applies, and no element has one of its own.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --raised: #f7f8fa; --ink: #1b1f24; --soft: #59636e; --line: #dfe3e8;
  --accent: #0b62c4; --wash: #d5e5f8; --good: #12713b; --bad: #b3261e; --warn: #8a5a00;
  --good-wash: #e1f3e7; --bad-wash: #fbe6e4; --warn-wash: #fbefd5; --mark: #ffe48a;
  --row: 2.25rem; --bar: 0px;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --raised: #1c2026; --ink: #e4e7eb; --soft: #9aa5b1; --line: #313840;
    --accent: #6cabf5; --wash: #1d3a5c; --good: #63c98a; --bad: #f38b82; --warn: #e0b053;
    --good-wash: #16311f; --bad-wash: #3f1d1b; --warn-wash: #392b0e; --mark: #6b5600;
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body {
  margin: 0 auto; max-width: 76rem; padding: 2.5rem 2rem 4rem; background: var(--paper);
  color: var(--ink); font: 0.9375rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums;
}
h1, h2, h3 { line-height: 1.25; margin: 0; font-weight: 600; text-wrap: balance }
h1 { font-size: 1.75rem; letter-spacing: -0.01em; overflow-wrap: anywhere }
h2 { font-size: 1.125rem; margin: 3rem 0 0.75rem }
h3 { font-size: 1rem; overflow-wrap: anywhere }
p { margin: 0.25rem 0 }
b { font-weight: 600 }
code, pre { font-family: var(--mono); font-size: 0.8125rem }
.facts { color: var(--soft); margin: 0.5rem 0 0 }
.facts > span + span::before { content: "·"; padding: 0 0.5em; color: var(--line) }
.soft { color: var(--soft) }
small { font-size: 0.8125rem }
.num { text-align: right; white-space: nowrap }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) }
.name { overflow-wrap: anywhere }
.pill {
  display: inline-block; padding: 0 0.5em; border-radius: 1em; font-size: 0.8125rem;
  line-height: 1.5; white-space: nowrap; background: var(--raised); color: var(--soft);
  font-weight: 500; vertical-align: 0.1em;
}
.pill.good { background: var(--good-wash); color: var(--good) }
.pill.bad { background: var(--bad-wash); color: var(--bad) }
.pill.warn { background: var(--warn-wash); color: var(--warn) }
.pill.accent { background: var(--wash); color: var(--accent) }
.hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
.skip:focus {
  position: fixed; left: 1rem; top: 1rem; z-index: 9; width: auto; height: auto; clip-path: none;
  background: var(--paper); padding: 0.5rem 1rem; border: 2px solid var(--accent);
}
a { color: var(--accent) }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px }
.note {
  border-left: 3px solid var(--line); padding: 0.125rem 0 0.125rem 0.75rem; color: var(--soft);
  margin: 0.75rem 0; max-width: 48rem; overflow-wrap: anywhere;
}
.note.warn { border-color: var(--warn) } .note.bad { border-color: var(--bad) }

table { border-collapse: collapse; width: 100% }
th { font-weight: 500; color: var(--soft); text-align: left; font-size: 0.8125rem }
th, td { padding: 0.4rem 1.25rem 0.4rem 0; vertical-align: baseline }
th.num { text-align: right }
th:last-child, td:last-child { padding-right: 0 }
thead th { border-bottom: 1px solid var(--line) }
tbody tr + tr > * { border-top: 1px solid var(--line) }
.scores .value { font-size: 1.25rem; font-weight: 600; letter-spacing: -0.01em }
.scores.few .value { font-size: 2rem; line-height: 1.2 }
.scores .scale { width: 24%; min-width: 8rem }
.scores th[scope=row] { font-size: inherit; color: inherit; font-weight: 400 }
.scores .name { min-width: 9rem }
.scores td.num { white-space: normal } .whole { white-space: nowrap }
.interval { display: block; width: 100%; height: 1.125rem; overflow: visible }
.interval .axis { stroke: var(--line); stroke-width: 1 }
.interval .span { fill: var(--wash) } .interval .dot { stroke: var(--accent); stroke-width: 3 }
.interval .base { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 2 2 }
.interval *, .chart svg * { vector-effect: non-scaling-stroke }

.evaluation { border-top: 1px solid var(--line); padding: 1.25rem 0 1.5rem }
.evaluation > summary { cursor: pointer; list-style: none; display: flex; gap: 0.75rem;
  align-items: baseline; flex-wrap: wrap }
.evaluation > summary::-webkit-details-marker { display: none }
.evaluation > summary::before { content: "▸"; color: var(--soft); width: 0.75rem }
.evaluation[open] > summary::before { content: "▾" }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: 1rem 1.5rem; margin: 1.25rem 0 }
.figures div { min-width: 0 }
.figures dt { color: var(--soft); font-size: 0.8125rem }
.figures dd { margin: 0; font-size: 1.125rem; font-weight: 500; overflow-wrap: anywhere }
.figures small { display: block; color: var(--soft); font-size: 0.8125rem; font-weight: 400;
  text-wrap: balance }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.5rem 2.5rem }
.chart { margin: 0; min-width: 0 }
.chart figcaption { font-size: 0.8125rem; color: var(--soft); margin-bottom: 0.75rem }
.chart figcaption b { color: var(--ink); display: block }
.plot { display: flex; gap: 0.5rem }
.plot .y { display: flex; flex-direction: column; justify-content: space-between;
  text-align: right; min-width: 3.5rem; margin: -0.5rem 0; white-space: nowrap }
.y, .x { color: var(--soft); font-size: 0.75rem; line-height: 1rem }
.chart svg { flex: 1; height: 7rem; min-width: 0; border-bottom: 1px solid var(--line);
  background: linear-gradient(var(--line), var(--line)) top / 100% 1px no-repeat }
.x { display: flex; margin: 0.25rem 0 0 4rem }
.x.ends { justify-content: space-between }
.x.steps span { flex: 1; min-width: 0; border-left: 1px solid var(--line); padding-left: 0.25rem;
  white-space: nowrap; overflow: hidden }
.area { fill: var(--wash) } .bar { fill: var(--accent); opacity: 0.75 }
.failures { fill: var(--bad) }
.limit { fill: none; stroke: var(--accent); stroke-width: 1.75 }
.pause { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 1 4 }
.mark { stroke: var(--ink); stroke-width: 1.25; stroke-dasharray: 4 3 }
.errors { max-width: 44rem; margin-top: 1.25rem }
.errors caption { text-align: left; font-weight: 600; font-size: 0.8125rem }
.errors meter { width: 100%; height: 0.5rem }
.errors svg { display: block; width: 100%; height: 0.5rem }
.errors rect { fill: var(--bad); opacity: 0.75 }
.errors .scale { width: 40% }

.tools { position: sticky; top: 0; z-index: 3; background: var(--paper); padding: 0.75rem 0 0.5rem;
  display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center }
.tools input[type=search], .tools select {
  font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--line);
  border-radius: 6px; padding: 0.3rem 0.6rem; min-width: 0;
}
.tools input[type=search] { flex: 1 1 14rem; max-width: 26rem }
.tools select { max-width: 18rem }
fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem;
  min-width: 0 }
.chip input { position: absolute; opacity: 0; pointer-events: none }
.chip span { display: inline-block; padding: 0.2rem 0.7rem; border-radius: 1rem; cursor: pointer;
  border: 1px solid var(--line); font-size: 0.8125rem; user-select: none }
.chip span small { color: var(--soft); font-size: inherit; padding-left: 0.25em }
.chip input:checked + span { background: var(--ink); color: var(--paper); border-color: var(--ink) }
.chip input:checked + span small { color: inherit; opacity: 0.75 }
.chip input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px }
.chip input:disabled + span { opacity: 0.45; cursor: default }
#told { flex: 1 1 100%; color: var(--soft); font-size: 0.8125rem; margin: 0 }
#records { table-layout: fixed }
#records thead { position: sticky; top: var(--bar); z-index: 2; background: var(--paper) }
#records th { padding: 0.375rem 1rem 0.375rem 0; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; border-bottom: 1px solid var(--line) }
#records th button { all: unset; cursor: pointer; max-width: 100%; overflow: hidden;
  text-overflow: ellipsis; vertical-align: bottom }
#records th button:focus-visible { outline: 2px solid var(--accent) }
#records th[aria-sort] button { color: var(--ink); font-weight: 600 }
#records th[aria-sort=ascending] button::after { content: " ↑" }
#records th[aria-sort=descending] button::after { content: " ↓" }
#records tbody tr { height: var(--row) }
#records tbody tr.gap { height: 0; border: 0 }
#records tbody tr.gap td { padding: 0; border: 0; height: 0 }
#records tbody td { padding: 0 1rem 0 0; height: var(--row); border-top: 0;
  border-bottom: 1px solid var(--line); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; vertical-align: middle }
#records tbody tr.row { cursor: pointer }
#records tbody tr.row:hover td { background: var(--raised) }
#records th:last-child, #records td:last-child { padding-right: 0 }
#records .c-at { width: 4.5rem } #records .c-is { width: 6.5rem } #records .c-score { width: 7rem }
#records .c-time { width: 6rem } #records .c-tries { width: 5.5rem }
#records td button { all: unset; color: var(--accent); cursor: pointer }
#records td button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.empty { text-align: center; padding: 3rem 1rem; color: var(--soft) }
.empty button, .steps-bar button { font: inherit; color: inherit; background: var(--raised);
  border: 1px solid var(--line); border-radius: 6px; padding: 0.25rem 0.75rem; cursor: pointer }
.steps-bar button:disabled { opacity: 0.4; cursor: default }

dialog { border: 0; padding: 0; margin: 0 0 0 auto; width: min(52rem, 100vw); height: 100vh;
  max-width: none; max-height: none; background: var(--paper); color: inherit;
  box-shadow: 0 0 3rem rgb(0 0 0 / 0.25) }
dialog::backdrop { background: rgb(0 0 0 / 0.3) }
dialog header { position: sticky; top: 0; background: var(--paper); z-index: 1;
  padding: 1rem 1.5rem; border-bottom: 1px solid var(--line); display: flex; gap: 0.5rem 1rem;
  align-items: center; flex-wrap: wrap }
dialog header h2 { margin: 0; flex: 1 1 12rem; overflow-wrap: anywhere }
dialog header h2:focus-visible { outline: 0 }
.steps-bar { display: flex; gap: 0.375rem }
#texts { padding: 0.5rem 1.5rem 3rem }
#texts h3 { color: var(--soft); font-size: 0.8125rem; font-weight: 500; margin: 1.25rem 0 0.25rem }
#texts pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--raised);
  border-radius: 6px; padding: 0.625rem 0.75rem; line-height: 1.5; unicode-bidi: plaintext }
#texts pre.answer { border-left: 3px solid var(--accent) }
#texts pre.before { border-left: 3px dashed var(--soft) }
#texts pre.bad { border-left: 3px solid var(--bad) }
#texts .figures { margin: 0.75rem 0 0 } #texts .figures dd { font-size: 0.9375rem }
mark { background: var(--mark); color: inherit; border-radius: 2px }
footer { margin-top: 4rem; border-top: 1px solid var(--line); padding-top: 1rem; color: var(--soft);
  font-size: 0.8125rem }

@media (max-width: 72rem) { .wider, .scores .scale { display: none } }
@media (max-width: 60rem) {
  .scores .wide, .scores thead { display: none }
  .scores tr, .scores.few tr { display: grid; grid-template-columns: 1fr auto; padding: 0.5rem 0 }
  .scores tbody tr + tr { border-top: 1px solid var(--line) }
  .scores tr > * { border: 0; padding: 0.125rem 0 }
  .scores th[scope=row] { grid-column: 1 / 3; color: var(--soft) }
  .scores td + td + td + td { grid-column: 1 / 3 }
  .scores .value, .scores.few .value { font-size: 1.25rem }
}
@media (max-width: 46rem) {
  body { padding: 1.25rem 1rem 3rem }
  h1 { font-size: 1.375rem }
  .wide { display: none }
  th, td { padding-right: 0.75rem }
  #records .c-at { width: 4rem } #records .c-is { width: 5.5rem }
  #records tbody td, #records th { padding-right: 0.5rem }
  .tools { position: static }
  #records thead { top: 0 }
  .plot .y { min-width: 2.5rem } .x { margin-left: 3rem }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --raised: #f4f5f7; --ink: #000; --soft: #444;
    --line: #bbb; --accent: #0b4f9e; --wash: #d5e5f8; --good: #0c5c2f; --bad: #9b1c15;
    --warn: #6d4700; --good-wash: #e1f3e7; --bad-wash: #fbe6e4; --warn-wash: #fbefd5 }
  @page { margin: 1.5cm }
  body { padding: 0; max-width: none; font-size: 9pt; print-color-adjust: exact;
    -webkit-print-color-adjust: exact }
  .tools fieldset, .tools input, .tools select, .skip, dialog, .tools label { display: none }
  .tools, #records thead { position: static }
  #records tbody tr, #records tbody td { height: auto }
  #records tbody td, #records th { padding: 0.15rem 0.5rem 0.15rem 0 }
  #records .c-score, #records .c-time, #records .c-tries { width: 4.25rem }
  #records .c-at { width: 3.75rem } #records .c-is { width: 5rem }
  .chart, .figures div, tr { break-inside: avoid }
  .scores .scale { width: 18% } .scores.few .value { font-size: 1.25rem }
  h2 { break-after: avoid }
}
@media (prefers-reduced-motion: no-preference) { dialog[open] { animation: in 0.12s ease-out } }
@keyframes in { from { transform: translateX(1.5rem); opacity: 0 } }
""".strip()
