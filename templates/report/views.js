// What is not about one test: methods, servers, network, advice, provenance.
function about(main) {
  const rows = run.incidents || [];
  const parts = [rows.length ? table("Incidents", ["incident", "lasted", "outcome", "tests", "reason"], rows) : null,
    ...(run.tables || []).map((one) => table(one.title, one.heads, one.rows)), slowest()].filter(Boolean);
  const wide = parts.filter((part) => part.classList.contains("wide"));
  const narrow = parts.filter((part) => !part.classList.contains("wide"));
  const size = (part) => part.querySelectorAll("tr, li").length + 3;
  const half = narrow.reduce((sum, part) => sum + size(part), 0) / 2;
  let above = 0;
  const left = narrow.filter((part) => { above += size(part); return above - size(part) / 2 <= half; });
  main.replaceChildren(...[hero(), gates(), columns(left, narrow.slice(left.length)), ...wide].filter(Boolean));
}

// The kinds of step that took longest altogether, over every attempt whose steps were kept.
function slowest() {
  const kinds = new Map();
  for (const task of run.tasks) {
    for (const attempt of task.tries || []) {
      for (const [verb, seconds] of attempt.steps || []) {
        const key = `${task.method} ${verb}`;
        const kind = kinds.get(key) || { method: task.method, verb, number: 0, sum: 0, most: 0, task };
        kind.number += 1;
        kind.sum += seconds;
        if (seconds > kind.most) Object.assign(kind, { most: seconds, task });
        kinds.set(key, kind);
      }
    }
  }
  const rows = [...kinds.values()].sort((a, b) => b.sum - a.sum).slice(0, 20);
  if (!rows.length) return null;
  return table("Steps by time", ["method", "step", "times", "altogether", "longest", "in"], rows.map((kind) =>
    [kind.method, kind.verb, String(kind.number), duration(kind.sum), duration(kind.most), h("a", { href: address(kind.task) }, kind.task.task)]));
}

// Every test over the runs before this one; those that changed most come first.
const MOST_HISTORIES = 200;

function histories(main) {
  const there = run.tasks.filter((task) => task.past?.length);
  const moved = (task) => (task.change ? 0 : task.trend?.includes("changed at") ? 1 : task.past.some((point) => BAD.has(point[1])) ? 2 : 3);
  const order = [...there].sort((a, b) => moved(a) - moved(b));
  const rows = order.slice(0, MOST_HISTORIES).map((task) => {
    const good = task.past.filter((point) => !BAD.has(point[1])).length;
    return [h("a", { href: address(task) }, task.task), titleOf(task.test), [badge(task.verdict), " ", task.change ? h("span", { class: `badge change ${task.change}` }, task.change) : ""],
      `${good} of ${task.past.length}`, h("span", { class: "bars" }, bars(task, 24)), task.trend || ""];
  });
  main.replaceChildren(h("h1", { class: "unseen" }, "History"), rows.length ? table("History", ["task", "title", "this run", "good before", "runs, this one last", "trend"], rows)
    : h("section", { class: "card" }, h("h2", {}, "History"), h("p", {}, "No earlier run executed a test of this one.")));
  if (rows.length) main.append(h("p", { class: "quiet small" }, "A bar is the time of a pass, a full one a run that did not pass; the band behind the bars is what is usual."));
  if (order.length > MOST_HISTORIES) main.append(h("p", { class: "quiet" }, `${order.length - MOST_HISTORIES} more have their history on their own page.`));
}
