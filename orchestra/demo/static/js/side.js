// The side: the index strip, the watchlist, the ticker and its three analyses.

import { chart } from "./chart.js";
import { byId, element } from "./dom.js";
import { direction, money, percent } from "./format.js";

const INDEXES = ["SPY", "QQQ", "DIA", "IWM"];

export class Side {
  #select = byId("ticker");
  #buttons = [...byId("analysis").querySelectorAll("button[data-kind]")];
  #quotes = new Map();

  /** @param analyze called with kind and ticker; the buttons are busy until its promise settles */
  constructor({ analyze, loadingLost = false }) {
    this.loadingLost = loadingLost;
    this.#select.addEventListener("change", () => this.choose(this.#select.value));
    for (const button of this.#buttons) button.addEventListener("click", () => this.#run(button, analyze));
  }

  /** Fills everything from the quotes of the API. */
  load(quotes) {
    this.#quotes = new Map(quotes.map((quote) => [quote.ticker, quote]));
    this.#select.replaceChildren(...quotes.map((quote) => element("option", { value: quote.ticker }, `${quote.ticker} · ${quote.name}`)));
    this.#select.disabled = false;
    const list = byId("watchlist");
    list.replaceChildren(...quotes.map((quote) => element("li", {}, this.#row(quote))));
    list.removeAttribute("aria-busy");
    byId("strip").replaceChildren(...INDEXES.filter((symbol) => this.#quotes.has(symbol)).map((symbol) => indexItem(this.#quotes.get(symbol))));
    for (const button of this.#buttons) button.disabled = false;
    this.choose(quotes[0].ticker);
  }

  /** Grey rows while nothing is known yet; nothing at all when it cannot be known. */
  placeholders(count) {
    byId("watchlist").replaceChildren(...Array.from({ length: count }, () => element("li", { class: "skeleton" })));
  }

  choose(ticker) {
    const quote = this.#quotes.get(ticker);
    if (!quote) return;
    this.#select.value = ticker;
    const change = (quote.history.at(-1) / quote.history[0] - 1) * 100;
    const past = element("span", { class: direction(change) }, percent(change));
    for (const row of byId("watchlist").querySelectorAll("button")) row.setAttribute("aria-pressed", String(row.dataset.ticker === ticker));
    byId("focus").replaceChildren(
      element(
        "div",
        { class: "focus-head" },
        element("span", { class: "focus-price" }, money(quote.price)),
        element("span", { class: `focus-move ${direction(quote.change)}` }, percent(quote.change_percent)),
      ),
      chart(quote.history, "chart"),
      element("div", { class: "focus-foot" }, element("span", {}, `${quote.history.length} sessions`), past),
    );
  }

  #row(quote) {
    const row = element(
      "button",
      { class: "watch-row", type: "button", "data-ticker": quote.ticker, "aria-pressed": "false" },
      element("span", {}, element("b", {}, quote.ticker), element("small", {}, quote.name)),
      chart(quote.history, "spark"),
      element(
        "span",
        { class: "figures" },
        quote.price.toFixed(2),
        element("small", { class: direction(quote.change) }, percent(quote.change_percent)),
      ),
    );
    row.addEventListener("click", () => this.choose(quote.ticker));
    return row;
  }

  async #run(button, analyze) {
    if (!this.loadingLost) {
      button.setAttribute("aria-busy", "true");
      for (const other of this.#buttons) other.disabled = true;
    }
    try {
      await analyze(button.dataset.kind, this.#select.value);
    } finally {
      button.removeAttribute("aria-busy");
      for (const other of this.#buttons) other.disabled = false;
    }
  }
}

function indexItem(quote) {
  return element(
    "li",
    {},
    element("b", {}, quote.name),
    element("span", { class: direction(quote.change) }, percent(quote.change_percent)),
  );
}
