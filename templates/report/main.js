// Which part is shown is in the address, so that a link leads to a test, an attempt, a filter.
const served = document.getElementById("data").textContent === "";
const viewer = (file) => `trace/index.html?trace=${encodeURIComponent(new URL(file.href, location.href.split("#")[0]).href)}`;
const VIEWS = [["", "Tests"], ["timeline", "Timeline"], ["needs", "Needs"], ["history", "History"], ["run", "Run"]];

function header() {
  const nav = h("nav", { "aria-label": "Views" }, VIEWS.map(([name, label]) => h("a", { href: `#/${name}`, "data-view": name }, label)));
  const theme = h("button", { type: "button", onclick: turn, "aria-label": "Light or dark", title: "Light or dark" }, "◐");
  document.querySelector("header.top .bar").replaceChildren(h("p", { class: "suite" }, run.suite), nav, theme);
}

function turn() {
  const root = document.documentElement;
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  remember(root.dataset.theme);
}

function remember(theme) {
  try {
    if (theme) localStorage.setItem("orchestra-theme", theme);
    return localStorage.getItem("orchestra-theme");
  } catch {
    return null;
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show(keep) {
  const main = document.getElementById("main");
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("?")[0].split("/");
  matrix?.close();
  matrix = null;
  if (view === "test") detail(main, ...rest.map(decoded));
  else if (view === "timeline") timeline(main);
  else if (view === "needs") needs(main);
  else if (view === "history") histories(main);
  else if (view === "run") about(main);
  else overview(main);
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === (view === "test" ? "" : view)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = main.querySelector("h1")?.textContent;
  document.title = view ? `${heading} · ${run.suite}` : `${run.headline} · ${run.title}`;
  document.documentElement.dataset.shown = location.hash;
  if (keep !== true) {
    scrollTo(0, 0);
    if (view) main.focus({ preventScroll: true });
  }
}

// A page that its server feeds: it draws again when the run has moved, and keeps what the reader is doing.
async function follow() {
  take(await (await fetch("data.json")).json());
  const changes = new EventSource("events");
  const ticking = setInterval(drawSteps, 1000);
  changes.addEventListener("open", () => lost(false));
  changes.addEventListener("error", () => lost(true));
  let due = Promise.resolve();
  const again = () => { due = due.then(async () => redraw(await (await fetch("data.json")).text())).catch(() => {}); };
  changes.addEventListener("change", again);
  changes.addEventListener("steps", (event) => { inStep = new Map(Object.entries(JSON.parse(event.data))); drawSteps(); });
  changes.addEventListener("end", (event) => { changes.close(); clearInterval(ticking); lost(false); due = due.then(() => redraw(event.data)); });
  changes.addEventListener("fault", (event) => { changes.close(); document.querySelector(".headline").textContent = event.data; });
}

// A page whose server has ended shows that it no longer follows the run.
function lost(now) {
  document.getElementById("lost")?.remove();
  if (now) document.querySelector("header.top").append(h("p", { id: "lost", role: "status" }, "The server of this page has ended: the page shows the run as it was then."));
}

// The running step of each task: they come without the ledger, so they are drawn into the page as it is.
let inStep = new Map();

function drawSteps() {
  for (const place of document.querySelectorAll("[data-step]")) place.textContent = stepText(place.dataset.step);
}

function stepText(task) {
  const [words, since] = inStep.get(task) || [];
  const seconds = Math.floor(Date.now() / 1000 - since);
  return words ? `${words}${seconds > 1 ? ` · ${seconds} s` : ""}` : "";
}

let drawn = "";

function redraw(text) {
  if (text === drawn) return;
  drawn = text;
  const [before, view] = [run, location.hash];
  take(JSON.parse(text));
  const shown = view.match(/^#\/test\/([^/]+)\/([^/]+)/);
  const task = shown && `${decodeURIComponent(shown[2])}:${decodeURIComponent(shown[1])}`;
  if (task && JSON.stringify(before.byTask.get(task)) === JSON.stringify(run.byTask.get(task))) return;
  const active = document.activeElement;
  const place = active?.id === "filter" ? [active.selectionStart, active.selectionEnd] : null;
  const height = scrollY;
  show(true);
  scrollTo(0, height);
  const input = document.getElementById("filter");
  if (place && input) {
    input.focus({ preventScroll: true });
    input.setSelectionRange(...place);
  }
}

async function begin() {
  const theme = remember();
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  const packed = document.getElementById("data").textContent;
  if (packed) take(await unpack(packed));
  else await follow();
  header();
  show();
  addEventListener("hashchange", show);
  document.documentElement.dataset.ready = "true";
}

begin();
