// The message box and its keys.

import { byId } from "./dom.js";

const MAX_HEIGHT = 180;

export class Composer {
  #box = byId("box");
  #send = byId("send");

  /**
   * @param submit called with the text, trimmed, when the user sends it
   * @param recall gives the text that ArrowUp brings back
   */
  constructor({ submit, recall, enterIgnored = false, sendAlwaysEnabled = false }) {
    this.submit = submit;
    this.recall = recall;
    this.enterIgnored = enterIgnored;
    this.sendAlwaysEnabled = sendAlwaysEnabled;
    this.#box.addEventListener("input", () => this.refresh());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    document.addEventListener("keydown", (event) => this.#slash(event));
    this.refresh();
  }

  focus() {
    this.#box.focus();
  }

  /** Fits the button and the height of the box to its text. */
  refresh() {
    this.#send.disabled = !this.sendAlwaysEnabled && this.#box.value.trim() === "";
    this.#box.style.height = "auto";
    this.#box.style.height = `${Math.min(this.#box.scrollHeight, MAX_HEIGHT)}px`;
  }

  #set(text) {
    this.#box.value = text;
    this.refresh();
  }

  #submit() {
    const text = this.#box.value.trim();
    if (!text) return;
    this.#set("");
    this.submit(text);
    this.focus();
  }

  #key(event) {
    // a key that ends the choice of a character in an input method sends nothing
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (!this.enterIgnored) this.#submit();
    } else if (event.key === "Escape") {
      this.#set("");
    } else if (event.key === "ArrowUp" && this.#box.value === "") {
      const text = this.recall();
      if (!text) return;
      event.preventDefault();
      this.#set(text);
      this.#box.setSelectionRange(text.length, text.length);
    }
  }

  #slash(event) {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.focus();
  }
}
