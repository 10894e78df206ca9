// The table tests by methods. Only the rows in sight are in the document, so that ten thousand stay quick.
const PLENTY = 300;
const MARGIN = 12;

function cell(task, method) {
  const name = h("span", { class: "method" }, method);
  if (!task) return h("span", { class: "quiet" }, name, " –");
  const flags = [...(task.degraded?.length ? ["degraded"] : []), ...(task.excused ? ["excused"] : []), ...(task.change ? [task.change] : [])];
  const open = h("a", { class: "cell", href: address(task) }, name, badge(task.verdict),
    h("span", { class: "time" }, task.mark && h("span", { class: "mark" }, `${task.mark} `), task.attempts ? duration(task.seconds) : ""),
    flags.length ? h("span", { class: `flag ${task.change || ""}`, title: flags.join(", ") }, flags.join(", ")) : "");
  const trace = BAD.has(task.verdict) && traceOf(task, "trace");
  return trace ? h("div", { class: "cells" }, open, trace) : open;
}

function item(test, position) {
  return h("tr", { class: "item", "aria-rowindex": position + 2 },
    h("td", { class: "id" }, test.there[0] ? h("a", { href: address(test.there[0]) }, test.id) : test.id),
    h("td", { class: "what" }, h("span", { class: "title", title: test.title }, test.title), test.group && h("span", { class: "group" }, run.groups[test.group] || test.group)),
    test.cells.map((task, number) => h("td", { class: task ? "by" : "by none" }, cell(task, run.methods[number][0]))));
}

class Matrix {
  constructor() {
    this.rows = [];
    this.body = h("tbody");
    // On a narrow window each method has a line of its own in the row of a test.
    document.documentElement.style.setProperty("--narrow-row", `${44 + 28 * run.methods.length}px`);
    const heads = [["id", "test"], ["what", "title"], ...run.methods.map(([id, title]) => ["by", id, title])];
    this.element = h("table", { class: "matrix" }, h("caption", { class: "unseen" }, "Tests by methods"),
      h("thead", {}, h("tr", {}, heads.map(([kind, text, title]) => h("th", { class: kind, scope: "col", title }, text)))), this.body);
    this.onscroll = () => { this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); }); };
    addEventListener("scroll", this.onscroll, { passive: true });
    addEventListener("resize", this.onscroll);
  }

  close() {
    removeEventListener("scroll", this.onscroll);
    removeEventListener("resize", this.onscroll);
  }

  show(rows) {
    this.rows = rows;
    this.drawn = "";
    this.element.setAttribute("aria-rowcount", rows.length + 1);
    this.draw();
  }

  draw() {
    let from = 0;
    let to = this.rows.length;
    let height = 0;
    if (to > PLENTY) {
      height = this.rowHeight();
      const above = -this.body.getBoundingClientRect().top;
      from = Math.max(0, Math.floor(above / height) - MARGIN);
      to = Math.min(to, Math.max(MARGIN, Math.ceil((above + innerHeight) / height) + MARGIN));
      from = Math.max(0, Math.min(from, to - 1));
    }
    const key = `${from} ${to}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const space = (number) => number > 0 && this.spacer(number * height);
    this.body.replaceChildren(...[space(from), ...this.rows.slice(from, to).map((test, number) => item(test, from + number)),
      space(this.rows.length - to)].filter(Boolean));
  }

  rowHeight() {
    const style = getComputedStyle(document.documentElement);
    return parseFloat(style.getPropertyValue(matchMedia("(max-width: 640px)").matches ? "--narrow-row" : "--row"));
  }

  spacer(height) {
    const inside = h("td", { colspan: run.methods.length + 2 });
    inside.style.height = `${height}px`;
    return h("tr", { class: "space", "aria-hidden": "true" }, inside);
  }
}
