// What is not about one test: methods, servers, network, advice, provenance.
function about(main) {
  const rows = run.incidents || [];
  main.replaceChildren(...[hero(), gates(), rows.length ? table("Incidents", ["incident", "lasted", "outcome", "tests", "reason"], rows) : null,
    ...(run.tables || []).map((one) => table(one.title, one.heads, one.rows)), slowest()].filter(Boolean));
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
