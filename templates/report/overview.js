// The first screen: the verdict, failures, news, gates that decided, and the table of tests by methods.
let matrix = null;

const SHOWN = 12;

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

// Seconds that the tests without a verdict take together, by earlier runs or else by those of this one; as many at a time as now.
function left() {
  const known = run.tasks.filter((task) => task.attempts).map((task) => task.seconds);
  const usual = (task) => middle((task.past || []).map((point) => point[2]).filter((seconds) => seconds !== null)) ?? middle(known);
  const open = run.tasks.filter((task) => task.verdict === "running" || task.verdict === "waiting").map(usual);
  if (!open.length || open.includes(undefined)) return null;
  return open.reduce((sum, seconds) => sum + seconds, 0) / Math.max(1, run.counts.running || 0);
}

function forecast() {
  const seconds = run.state === "running" ? left() : null;
  return seconds === null ? "" : `about ${duration(seconds)} left`;
}

const runningStep = (task) => h("span", { class: "step mono", "data-step": task.task }, stepText(task.task));

const onNode = (one) => (one?.node ? h("span", { class: "quiet" }, ` on ${one.node}`) : "");

function runningNow() {
  const now = run.tasks.filter((task) => task.verdict === "running");
  if (!now.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Running now"), h("ul", { class: "running-now" }, now.slice(0, SHOWN).map((task) =>
    h("li", {}, badge("running", "pulse"), " ", h("a", { href: address(task) }, `${task.task} ${titleOf(task.test)}`), onNode(task), runningStep(task))), now.length > SHOWN && h("li", {}, `and ${now.length - SHOWN} more`)));
}

// The verdicts as parts of one bar: how much is good is seen before a number is read.
function share() {
  const words = [...ORDER.filter((word) => word !== "running" && word !== "waiting"), "running", "waiting"].filter((word) => run.counts[word]);
  return h("div", { class: "share", role: "img", "aria-label": run.counted }, words.map((word) => {
    const part = h("i", { class: word, title: `${run.counts[word]} ${word}` });
    part.style.flexGrow = run.counts[word];
    return part;
  }));
}

function hero() {
  const facts = [run.counted, forecast(), run.exit && `exit ${run.exit}`, run.seconds ? duration(run.seconds) : "", `run ${run.run}`,
    run.started ? `${run.started.slice(0, 19).replace("T", " ")} UTC` : "", ...(run.notes || [])];
  return h("section", { class: `hero ${run.state}` }, h("h1", {}, run.title), h("p", { class: "headline", role: "status" }, run.headline), share(),
    h("ul", { class: "facts" }, facts.filter(Boolean).map((fact) => h("li", {}, fact))));
}

// What fails by several methods is one line, with a way to each.
function failureLine(tasks) {
  const [first] = tasks;
  const changes = [...new Set(tasks.map((task) => task.change).filter(Boolean))];
  return h("li", { class: first.verdict }, h("div", {}, h("a", { href: address(first) }, `${first.test} ${titleOf(first.test)}`)),
    h("div", { class: "row" }, tasks.map((task) => h("a", { class: "cell by-method", href: address(task) }, h("span", { class: "quiet small" }, task.method), badge(task.verdict))),
      tasks.map(traceOf), changes.map((change) => h("span", { class: `badge change ${change}` }, change)), tasks.some((task) => task.excused) && h("span", { class: "badge change" }, "excused")),
    [...new Set(tasks.map((task) => task.reason || "no reason was recorded"))].map((reason) => h("p", { class: "why" }, reason)),
    first.place && h("p", { class: "quiet small mono" }, first.place));
}

function failures() {
  const bad = run.tasks.filter((task) => BAD.has(task.verdict)).sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  if (!bad.length) return null;
  const tests = new Map();
  for (const task of bad) tests.set(task.test, [...(tests.get(task.test) || []), task]);
  return h("section", { class: "card" }, h("h2", {}, `Did not pass: ${plural(tests.size, "test")}`),
    h("ol", { class: "failures" }, [...tests.values()].slice(0, SHOWN).map(failureLine)),
    tests.size > SHOWN && h("p", { class: "quiet" }, `${tests.size - SHOWN} more are in the table below.`));
}

// The trace of the last attempt that has one.
function traceOf(task, label) {
  const file = (task.tries || []).flatMap((attempt) => attempt.files || []).findLast((one) => one.kind === "trace" && one.name.endsWith(".zip"));
  if (!file) return null;
  const name = typeof label === "string" ? label : `trace ${task.method}`;
  const title = served ? "Open in the trace viewer" : `The file of the trace; ${tool()} open ${run.run} shows it`;
  return h("a", { class: "trace small", href: served ? viewer(file) : file.href, target: "_blank", rel: "noreferrer", title, "aria-label": `trace of ${task.task}` }, name);
}

// The gates that made the run fail, or warn, with the values that decided them.
function decided() {
  const bad = (run.gates || []).filter((gate) => gate.result === "failed" || gate.result === "warned");
  if (!bad.length) return null;
  return h("section", { class: "card" }, h("h2", {}, bad.some((gate) => gate.result === "failed") ? "Gates that did not pass" : "Gates that warned"), h("ul", { class: "decided" }, bad.map((gate) =>
    h("li", {}, badge(gate.result), h("div", {}, h("strong", {}, gate.name), " ", h("code", {}, gate.condition),
      h("div", { class: "quiet small" }, [gate.values, gate.remark].filter(Boolean).join(" · ")))))));
}

// The servers of a run under way: those that are not healthy come first.
function health() {
  if (run.state !== "running") return null;
  const last = new Map((run.changes || []).map(([, component, state, reason]) => [component, [state, reason]]));
  if (!last.size) return null;
  const rows = [...last].sort((a, b) => (a[1][0] === "healthy") - (b[1][0] === "healthy"));
  return h("section", { class: "card" }, h("h2", {}, "Servers and tools"), h("ul", { class: "facts health" }, rows.map(([component, [state, reason]]) =>
    h("li", {}, h("i", { class: `dot ${state}`, "aria-hidden": "true" }), `${component} ${state}${reason && state !== "healthy" ? `: ${reason}` : ""}`))));
}

function next() {
  const lines = run.commands || [];
  const news = Object.entries(run.news || {});
  if (!lines.length && !news.length) return null;
  return h("section", { class: "card" },
    lines.length > 0 && [h("h2", {}, "What to do next"), lines.map(command)],
    news.length > 0 && [h("h2", {}, "Since the run before"), h("ul", { class: "facts" }, news.map(([kind, tasks]) =>
      h("li", {}, h("span", { class: `badge change ${kind}` }, kind), ` ${tasks.length}: `, tasks.slice(0, 6).map((name, number) => [number ? ", " : "",
        h("a", { href: address(run.byTask.get(name)) }, name)]), tasks.length > 6 ? " …" : "")))]);
}

function gates() {
  const own = (run.gates || []).filter((gate) => !gate.standard);
  const quiet = (run.gates || []).filter((gate) => gate.standard);
  if (!run.gates?.length) return null;
  const rank = { failed: 0, warned: 1 };
  const first = [...own].sort((a, b) => (rank[a.result] ?? 2) - (rank[b.result] ?? 2));
  const rows = first.map((gate) => [gate.name, badge(gate.result), h("code", {}, gate.condition), gate.values, gate.remark]);
  const section = table("Gates", ["gate", "result", "condition", "values", "remark"], rows);
  if (quiet.length) section.append(h("p", { class: "quiet small" }, `Standard gates that passed: ${quiet.map((gate) => gate.name).join(", ")}.`));
  return section;
}

function chosen() {
  const query = new URLSearchParams(location.hash.split("?")[1] || "");
  return { text: query.get("q") || "", verdict: query.get("v") || "", order: query.get("o") || "" };
}

function choose(change) {
  const now = { ...chosen(), ...change };
  const query = new URLSearchParams(Object.entries({ q: now.text, v: now.verdict, o: now.order }).filter(([, value]) => value));
  history.replaceState(null, "", `#/${query.size ? `?${query}` : ""}`);
  filter();
}

function filter() {
  const { text, verdict, order } = chosen();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let rows = run.tests.filter((test) => words.every((word) => test.text.includes(word))
    && (!verdict || test.there.some((task) => task.verdict === verdict || task.change === verdict)));
  if (order === "slowest") rows = [...rows].sort((a, b) => b.seconds - a.seconds);
  if (order === "worst") rows = [...rows].sort((a, b) => a.worst - b.worst);
  matrix.show(rows);
  document.getElementById("number").textContent = `${plural(rows.length, "test")}${rows.length < run.tests.length ? ` of ${run.tests.length}` : ""}`;
  for (const chip of document.querySelectorAll(".chips button")) chip.setAttribute("aria-pressed", String((chip.dataset.verdict || "") === verdict));
}

function tools() {
  const now = chosen();
  const chip = (word, label) => h("button", { type: "button", "data-verdict": word, "aria-pressed": "false", onclick: () => choose({ verdict: word }) }, label);
  const order = h("select", { "aria-label": "Order", onchange: (event) => choose({ order: event.target.value }) },
    [["", "in order of the plan"], ["worst", "failures first"], ["slowest", "slowest first"]].map(([value, label]) =>
      h("option", { value, selected: value === now.order }, label)));
  const changes = Object.entries(run.news || {}).map(([kind, tasks]) => chip(kind, `${kind} ${tasks.length}`));
  return h("div", { class: "tools row" },
    h("input", { type: "search", id: "filter", placeholder: "Filter by id, title, group, tag, message", "aria-label": "Filter tests", value: now.text, oninput: (event) => choose({ text: event.target.value }) }),
    h("div", { class: "chips", role: "group", "aria-label": "Verdicts" }, chip("", "all"),
      ORDER.filter((word) => run.counts[word]).map((word) => chip(word, `${word} ${run.counts[word]}`)), changes),
    order, h("span", { id: "number", class: "quiet small", role: "status" }));
}

function overview(main) {
  matrix = new Matrix();
  const stack = (...parts) => (parts.filter(Boolean).length > 1 ? h("div", { class: "stack" }, parts.filter(Boolean)) : parts.find(Boolean));
  const side = [stack(runningNow(), health()), failures(), stack(decided(), next())].filter(Boolean);
  main.replaceChildren(...[hero(), side.length > 1 ? h("div", { class: "grid" }, side) : side[0],
    h("section", { class: "card" }, h("h2", {}, "Tests"), tools(), matrix.element), gates()].filter(Boolean));
  filter();
}
