// Light, dark and density: chosen by the user, kept in this browser, else as the system has it.

import { byId } from "./dom.js";

const THEME = "market-parser.theme";
const COMPACT = "market-parser.compact";
const THEMES = ["system", "light", "dark"];

export function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const select = byId("theme");
  const toggle = byId("theme-toggle");
  const compact = byId("compact");
  let theme = THEMES.includes(kept(THEME)) ? kept(THEME) : "system";

  const show = () => {
    const dark = theme === "dark" || (theme === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    toggle.setAttribute("aria-pressed", String(dark));
    select.value = theme;
  };
  const choose = (next) => {
    theme = next;
    keep(THEME, next);
    show();
  };
  const showDensity = () => {
    document.documentElement.dataset.density = compact.checked ? "compact" : "roomy";
  };

  select.addEventListener("change", () => choose(select.value));
  toggle.addEventListener("click", () => choose(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  system.addEventListener("change", show);
  compact.checked = kept(COMPACT) === "yes";
  compact.addEventListener("change", () => {
    keep(COMPACT, compact.checked ? "yes" : "no");
    showDensity();
  });
  show();
  showDensity();
}

// a browser may forbid storage: then the choice lasts as long as the page
function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // see above
  }
}
