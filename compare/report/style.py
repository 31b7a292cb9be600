"""How the page looks: quiet, on a screen light or dark, on a phone, on paper. Everything is in here; nothing is fetched."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --ink: #22211f; --quiet: #6a6762; --line: #e3dfd8; --card: #ffffff; --accent: #b3261e; --wash: #f5f1ea;
  --shade: #00000038;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #181715; --ink: #e9e5de; --quiet: #a19c94; --line: #38352f; --card: #211f1c; --accent: #f2958d; --wash: #262320;
    --shade: #000000b0;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.8rem, 5vw, 2.6rem); margin: 0 0 .5rem; letter-spacing: -.02em; }
h2 { font-size: 1.55rem; margin: 4rem 0 .8rem; padding-top: 1.2rem; border-top: 1px solid var(--line); letter-spacing: -.01em; }
h3 { font-size: 1.12rem; margin: 2.6rem 0 .5rem; }
p { margin: .6rem 0; max-width: 44rem; }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.frame { max-width: 78rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
header p { font-size: 1.1rem; color: var(--quiet); }
nav { margin: 2rem 0; padding: 1rem 1.25rem; background: var(--wash); border-radius: 10px; font-size: .93rem; }
nav ol { margin: 0; padding-left: 1.2rem; }
nav li { padding: .15rem 0; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
article { scroll-margin-top: 1rem; }
summary { cursor: pointer; color: var(--accent); font-size: .9rem; padding: .3rem 0; width: fit-content; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.verdict { border-left: 3px solid var(--accent); padding-left: .9rem; font-size: 1.03rem; overflow-wrap: anywhere; }
figure { margin: 1.2rem 0; }
figure p { color: var(--quiet); font-size: .86rem; margin: .3rem 0; }
.wide {
  overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; max-width: max-content;
  background:  /* a shadow at the side where there is more */
    linear-gradient(to right, var(--card) 30%, transparent) left / 4rem 100% no-repeat local,
    linear-gradient(to left, var(--card) 30%, transparent) right / 4rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 1.4rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 1.4rem 100% no-repeat scroll,
    var(--card);
}
table { border-collapse: collapse; font-size: .88rem; line-height: 1.45; font-variant-numeric: tabular-nums; }
caption { caption-side: top; text-align: left; padding: .7rem .7rem .5rem; font-weight: 600; max-width: min(44rem, 84vw); }
th, td { padding: .34rem .7rem; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
thead th {
  color: var(--quiet); font-weight: 500; white-space: normal; vertical-align: bottom;
  border-bottom: 1px solid var(--line);
}
tbody tr:nth-child(even) { background: color-mix(in srgb, var(--wash) 45%, transparent); }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 8px; }
.picture {
  border: 1px solid var(--line); border-radius: 8px; padding: .4rem; background: #ffffff; width: fit-content; max-width: 100%;
}
.missing {
  border: 1px dashed var(--line); border-radius: 8px; padding: .8rem 1.1rem; margin: 1.6rem 0;
  color: var(--quiet); font-size: .9rem;
}
.missing p { margin: 0 0 .3rem; }
.missing ul { margin: 0; padding-left: 1.1rem; }
.origin { overflow-wrap: anywhere; font-size: .84rem; color: var(--quiet); margin: 1.2rem 0; }
.origin strong { font-weight: 600; }
.origin .command { display: block; margin: .35rem 0; padding: .5rem .7rem; background: var(--wash); border-radius: 6px; }
footer { margin-top: 4rem; color: var(--quiet); font-size: .86rem; }
.picture::after { display: none; content: "swipe sideways for the rest →"; position: sticky; left: 0; color: #6a6762; }
@media (max-width: 40rem) {
  .picture { overflow-x: auto; font-size: .8rem; }
  .picture img { max-width: none; width: 40rem; }
  .picture::after { display: inline-block; }
}
@media (min-width: 68rem) {
  .frame { display: grid; grid-template-columns: 15rem minmax(0, 1fr); column-gap: 3.5rem; }
  header, main, footer { grid-column: 2; }
  nav { grid-column: 1; grid-row: 1 / span 3; align-self: start; position: sticky; top: 1.5rem; margin: .4rem 0 0; }
}
@media print {
  :root {
    --paper: #ffffff; --ink: #000000; --quiet: #444444; --line: #bbbbbb; --card: #ffffff; --wash: #f4f4f4; --accent: #8c1d18;
  }
  body { font-size: 10pt; }
  .frame { display: block; padding: 0; max-width: none; }
  .wide { overflow: visible; border: 0; background: none; }
  details::details-content { content-visibility: visible; display: block; }
  summary { display: none; }
  th, td { padding: .15rem .4rem; white-space: normal; }
  table { font-size: 7.5pt; }
  h2 { break-before: page; margin-top: 0; border: 0; }
  h2, h3 { break-after: avoid; }
  figure, .picture, tr, .origin { break-inside: avoid; }
  figure:has(table) { break-inside: auto; }
  a { color: inherit; text-decoration: none; }
}
"""
