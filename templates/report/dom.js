// Elements are made by name and text alone: no text of a run is ever read as markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(9)) {
    if (child !== undefined && child !== null && child !== false && child !== "") element.append(child);
  }
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

const SIGNS = { passed: "✓", unchanged: "=", flaky: "↻", failed: "✗", timeout: "◷", error: "!", blocked: "⊘", skipped: "–",
  interrupted: "■", running: "▸", waiting: "·", connecting: "…", warned: "!", not_applicable: "–" };

const badge = (word, more) => h("span", { class: `badge ${word} ${more || ""}` }, h("span", { "aria-hidden": "true" }, SIGNS[word] || ""),
  word.replace("_", " "));

// Copy a text; a page opened from a file may have no clipboard of its own.
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { readonly: true, class: "unseen" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

const copyButton = (label, text) => h("button", { type: "button", onclick: (event) => copy(typeof text === "function" ? text() : text, event.currentTarget) }, label);

const command = (line) => h("p", { class: "command" }, h("code", {}, line), copyButton("Copy", line));

// A cell of one long word, a digest for instance, is broken anywhere, so that its table is no wider than the window.
const LONG = /\S{25}/;

const NUMBER = /^[+-]?\d[\d.,]*( (x|%|B|kB|MB|ms|s|min \d\d s))?$/;

// A column without a value is left out, one of numbers is aligned at its end, and a table of one column is a list.
function table(title, heads, rows) {
  const shown = heads.map((_, at) => at).filter((at) => !rows.length || rows.some((row) => row[at]));
  const numbers = new Set(shown.filter((at) => rows.every((row) => !row[at] || NUMBER.test(row[at]))));
  const kind = (cell, at) => [typeof cell === "string" && LONG.test(cell) && "long", numbers.has(at) && "number"].filter(Boolean).join(" ") || undefined;
  if (heads.length === 1) return h("section", { class: "card" }, h("h2", {}, title), h("ul", {}, rows.map((row) => h("li", {}, row))));
  return h("section", { class: `card ${shown.length > 4 ? "wide" : ""}` }, h("h2", {}, title),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      h("table", {}, h("thead", {}, h("tr", {}, shown.map((at) => h("th", { scope: "col", class: numbers.has(at) ? "number" : undefined }, heads[at])))),
        h("tbody", {}, rows.map((row) => h("tr", {}, shown.map((at) => h("td", { class: kind(row[at], at) }, row[at]))))))));
}
