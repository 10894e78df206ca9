// Puts the page together. `<html data-ready="true">` says that it can be used.

import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation, replyEntry } from "./conversation.js";
import { byId, element } from "./dom.js";
import { engine } from "./engine.js";
import { parse, toCsv, toJson, toMarkdown } from "./export.js";
import { copy, download } from "./files.js";
import { Log } from "./log.js";
import { Notices } from "./notice.js";
import { Side } from "./side.js";
import { startTheme } from "./theme.js";

const SUGGESTIONS = [
  ["One ticker", "What is NVDA doing?"],
  ["Several", "Compare Apple and Microsoft"],
  ["The whole market", "Market status"],
  ["In between", "How did Tesla and $AMD close?"],
];
const ENGINE_FAULT = { b001: "chromium", b002: "firefox", b003: "webkit" };
const SLOW_MS = 2200;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function start() {
  startTheme();
  startDisclosure("settings-toggle", (open) => {
    byId("settings").hidden = !open;
  });
  startDisclosure("menu-toggle", (open) => {
    document.documentElement.dataset.menu = open ? "open" : "closed";
  });

  const config = await (await fetch("/config.json", { cache: "no-store" })).json();
  const broken = (id) => config.mutation === id;
  if (ENGINE_FAULT[config.mutation] === engine(navigator.userAgent)) byId("heading").remove();

  const api = new Api(config.api);
  const conversation = new Conversation();
  const notices = new Notices({ bannerLost: broken("b009") });
  const log = new Log({ asMarkup: broken("b011") });
  const side = new Side({ analyze: (kind, ticker) => analyze(kind, ticker), loadingLost: broken("b008") });
  const nodes = new WeakMap();

  const refreshTools = () => {
    for (const button of document.querySelectorAll(".needs-entries")) button.disabled = conversation.entries.length === 0;
  };
  conversation.addEventListener("added", (event) => {
    nodes.set(event.detail, log.show(event.detail));
    refreshTools();
  });
  conversation.addEventListener("loaded", () => {
    log.load(conversation.entries);
    refreshTools();
  });

  // the time from Send to the reply in the page: on the reply, as `data-elapsed-ms`, and as a performance measure
  function showReply(answer, started) {
    const entry = conversation.add(replyEntry(answer));
    const node = nodes.get(entry);
    const elapsed = performance.measure("ask", { start: started, end: performance.now() }).duration;
    node.dataset.elapsedMs = String(Math.round(elapsed));
    const cached = answer.mode === "cached" ? " · cached data" : "";
    node.append(element("p", { class: "meta" }, `Answered in ${Math.max(1, Math.round(elapsed))} ms${cached}`));
    showMode(answer.mode);
    log.refresh();
  }

  async function ask(text, attempt = 1, asked = null) {
    notices.clear();
    const entry = asked ?? conversation.add({ role: "user", text });
    const node = nodes.get(entry);
    delete node?.dataset.failed;
    const started = performance.now();
    const arrived = log.waiting();
    try {
      const answer = await api.ask(text, attempt);
      if (broken("b016")) await pause(SLOW_MS);
      arrived();
      if (conversation.entries.includes(entry)) showReply(answer, started);
    } catch (error) {
      arrived();
      log.refresh();
      if (!conversation.entries.includes(entry)) return;
      if (node) node.dataset.failed = "";
      notices.error(error.message, () => ask(text, attempt + 1, entry));
      // the banner takes room: the question above it stays in sight
      log.refresh();
    }
  }

  async function analyze(kind, ticker) {
    notices.clear();
    const started = performance.now();
    document.documentElement.dataset.menu = "closed";
    byId("menu-toggle").setAttribute("aria-expanded", "false");
    try {
      showReply(await api.analyze(kind, ticker), started);
    } catch (error) {
      notices.error(error.message, () => analyze(kind, ticker));
    }
  }

  async function loadMarket() {
    side.placeholders(10);
    try {
      const market = await api.market();
      side.load(market.quotes);
      showMode(market.mode);
    } catch (error) {
      showMode("offline");
      notices.error(error.message, loadMarket);
    }
  }

  startTools(conversation, notices, broken);
  const composer = new Composer({
    submit: (text) => ask(text),
    recall: () => conversation.lastQuestion(),
    enterIgnored: broken("b010"),
    sendAlwaysEnabled: broken("b007"),
  });
  byId("suggestions").replaceChildren(...SUGGESTIONS.map(([kind, text]) => suggestion(kind, text, () => ask(text))));
  refreshTools();
  await loadMarket();
  if (matchMedia("(min-width: 641px)").matches) composer.focus();
  document.documentElement.dataset.ready = "true";
}

function suggestion(kind, text, act) {
  const chip = element("button", { class: "chip", type: "button" }, element("small", {}, kind), text);
  chip.addEventListener("click", act);
  return chip;
}

function showMode(mode) {
  const words = { live: "Live", cached: "Cached data", offline: "Offline" };
  const pill = byId("status");
  pill.dataset.state = mode;
  pill.title = words[mode];
  pill.querySelector("span").textContent = words[mode];
}

/** A button that opens and closes something; Escape and a click elsewhere close it too. */
function startDisclosure(id, show) {
  const button = byId(id);
  const target = byId(button.getAttribute("aria-controls"));
  const isOpen = () => button.getAttribute("aria-expanded") === "true";
  const set = (open) => {
    button.setAttribute("aria-expanded", String(open));
    show(open);
  };
  button.addEventListener("click", () => set(!isOpen()));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen()) set(false);
  });
  document.addEventListener("click", (event) => {
    if (isOpen() && !button.contains(event.target) && !target.contains(event.target)) set(false);
  });
}

/** Export, copy, import and clear. */
function startTools(conversation, notices, broken) {
  const markdown = () => toMarkdown(conversation.entries, { tablesLost: broken("b015") });
  const exports = {
    "export-json": ["json", "application/json", () => toJson(conversation.entries, { repliesLost: broken("b013") })],
    "export-csv": ["csv", "text/csv", () => toCsv(conversation.entries, { unquoted: broken("b014") })],
    "export-markdown": ["md", "text/markdown", markdown],
  };
  for (const [id, [suffix, type, text]] of Object.entries(exports)) {
    byId(id).addEventListener("click", () => {
      const name = `market-conversation.${suffix}`;
      download(name, type, text());
      notices.toast(`Saved ${name}`);
    });
  }
  byId("copy").addEventListener("click", async () => {
    if (await copy(markdown())) notices.toast("Copied");
    else notices.error("This browser does not let the page use the clipboard.");
  });
  byId("clear").addEventListener("click", () => {
    if (!confirm("Clear the conversation? This cannot be undone.")) return;
    conversation.load([]);
    notices.clear();
    byId("box").focus();
  });
  byId("import").addEventListener("change", async (event) => {
    const input = event.target;
    const [file] = input.files;
    if (!file) return;
    try {
      const entries = parse(await file.text());
      notices.clear();
      conversation.load(entries);
      notices.toast(`Imported ${entries.length} ${entries.length === 1 ? "entry" : "entries"}`);
    } catch (error) {
      notices.error(error.message);
    } finally {
      input.value = "";
    }
  });
}

start().catch((error) => {
  byId("banner-text").textContent = `The page could not start: ${error.message}`;
  byId("retry").hidden = true;
  byId("banner").hidden = false;
});
