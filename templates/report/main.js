// Which part is shown is in the address, so that a link leads to a test, an attempt, a filter.
const VIEWS = [["", "Tests"], ["timeline", "Timeline"], ["run", "Run"]];

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

function show(keep) {
  const main = document.getElementById("main");
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("?")[0].split("/");
  matrix?.close();
  matrix = null;
  if (view === "test") detail(main, ...rest.map(decodeURIComponent));
  else if (view === "timeline") timeline(main);
  else if (view === "run") about(main);
  else overview(main);
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === (view === "test" ? "" : view)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = main.querySelector("h1")?.textContent;
  document.title = view ? `${heading} · ${run.suite}` : `${run.headline} · ${run.title}`;
  if (keep !== true) {
    scrollTo(0, 0);
    if (view) main.focus({ preventScroll: true });
  }
}

async function begin() {
  const theme = remember();
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  const packed = document.getElementById("data").textContent;
  if (!packed) return;
  take(await unpack(packed));
  header();
  show();
  addEventListener("hashchange", show);
  document.documentElement.dataset.ready = "true";
}

begin();
