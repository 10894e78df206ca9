// What the page says on its own: the error banner and the toast.

import { byId } from "./dom.js";

const TOAST_MS = 2500;

export class Notices {
  #banner = byId("banner");
  #text = byId("banner-text");
  #retry = byId("retry");
  #toast = byId("toast");
  #timer = 0;
  #again = null;

  constructor({ bannerLost = false } = {}) {
    this.bannerLost = bannerLost;
    this.#retry.addEventListener("click", () => {
      const again = this.#again;
      this.clear();
      again?.();
    });
    byId("dismiss").addEventListener("click", () => {
      this.clear();
      byId("box").focus();
    });
  }

  /** Shows the banner; `again`, where there is one, is what Retry does. */
  error(text, again = null) {
    if (this.bannerLost) return;
    this.#again = again;
    this.#text.textContent = text;
    this.#retry.hidden = again === null;
    this.#banner.hidden = false;
  }

  clear() {
    this.#again = null;
    this.#banner.hidden = true;
  }

  toast(text) {
    clearTimeout(this.#timer);
    this.#toast.textContent = text;
    this.#toast.dataset.shown = "";
    this.#timer = setTimeout(() => {
      delete this.#toast.dataset.shown;
      this.#toast.textContent = "";
    }, TOAST_MS);
  }
}
