// Draws the conversation.

import { chart } from "./chart.js";
import { byId, element } from "./dom.js";
import { direction, money, percent, volume } from "./format.js";

export class Log {
  #log = byId("log");
  #empty = byId("empty");
  #scroll = byId("scroll");

  constructor({ asMarkup = false } = {}) {
    this.asMarkup = asMarkup;
  }

  /** Shows one entry at the end and gives back its element. */
  show(entry) {
    const node = entry.role === "user" ? this.#message(entry) : reply(entry);
    this.#log.append(node);
    this.refresh();
    return node;
  }

  /** Draws all entries anew. */
  load(entries) {
    this.#log.replaceChildren();
    for (const entry of entries) this.show(entry);
    this.refresh();
  }

  /** Three dots for an answer that is on its way; gives back what takes them away. */
  waiting() {
    const dots = element("div", { class: "waiting", "aria-label": "Waiting for the answer" }, element("i"), element("i"), element("i"));
    const node = element("div", { class: "reply", "data-testid": "waiting" }, mark(), dots);
    this.#log.append(node);
    this.refresh();
    return () => node.remove();
  }

  /** Fits the empty state and the scroll position to what is shown. */
  refresh() {
    this.#empty.hidden = this.#log.childElementCount > 0;
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #message(entry) {
    const node = element("div", { class: "message", "data-testid": "message" });
    if (this.asMarkup) node.innerHTML = entry.text;
    else node.textContent = entry.text;
    return node;
  }
}

function mark() {
  return element("img", { class: "mark", src: "/static/mark.svg", alt: "", width: 28, height: 28 });
}

function reply(entry) {
  const body = element(
    "div",
    { class: "reply-body" },
    entry.title ? element("h3", { class: "reply-title" }, entry.title) : null,
    element("p", { class: "reply-text", "data-testid": "reply-text" }, entry.text),
  );
  if (entry.facts.length) body.append(facts(entry));
  else if (entry.rows.length) body.append(quotes(entry.rows));
  return element("article", { class: "reply", "data-testid": "reply", "data-kind": entry.kind }, mark(), body);
}

function quotes(rows) {
  const head = ["Ticker", "Price", "Change", "Volume", "30 days"].map((title) => element("th", { scope: "col" }, title));
  const lines = rows.map((row) =>
    element(
      "tr",
      { "data-ticker": row.ticker },
      element("td", {}, element("b", {}, row.ticker), element("small", {}, row.name)),
      element("td", {}, money(row.price)),
      element("td", {}, element("span", { class: `tag ${direction(row.change)}` }, percent(row.change_percent))),
      element("td", {}, volume(row.volume)),
      element("td", {}, chart(row.history, "spark")),
    ),
  );
  const table = element("table", { class: "quotes" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines));
  return element("div", { class: "panel" }, table);
}

function facts(entry) {
  const cells = entry.facts.map((fact) => element("div", {}, element("dt", {}, fact.label), element("dd", {}, fact.value)));
  const box = entry.kind === "trend" && entry.rows.length ? element("div", { class: "chart-box" }, chart(entry.rows[0].history, "chart")) : null;
  return element("div", { class: "panel" }, box, element("dl", { class: cells.length % 3 === 0 ? "facts" : "facts five" }, ...cells));
}
