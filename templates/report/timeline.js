// Who worked when: attempts in lanes by method and node, above the servers, on one axis of time.
const LANE = 20;
const LABEL = 92;
const EDGE = 24;
const MOST_BARS = 4000;

// Put intervals into as few lanes as they need: as many as ran at a time.
function lanes(bars) {
  const ends = [];
  for (const bar of [...bars].sort((a, b) => a.start - b.start)) {
    let lane = ends.findIndex((end) => end <= bar.start + 0.001);
    if (lane < 0) lane = ends.length;
    ends[lane] = bar.start + bar.seconds;
    bar.lane = lane;
  }
  return ends.length;
}

const clock = (at) => (at < 60 ? `${+at.toFixed(1)} s` : `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}`);

const saidOf = ({ task, attempt, word, seconds }) => `${task.task} attempt ${attempt.number}: ${word}, ${duration(seconds)}${attempt.node ? ` on ${attempt.node}` : ""}`;

function ticks(span) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200, 21600].find((one) => span / one <= 10) || 86400;
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, number) => number * step);
}

function attempts(method) {
  const bars = run.tasks.filter((task) => task.method === method).flatMap((task) => (task.tries || []).map((attempt) =>
    ({ task, attempt, start: attempt.start, seconds: attempt.seconds, word: attempt.outcome })));
  return bars.length > MOST_BARS ? bars.sort((a, b) => b.seconds - a.seconds).slice(0, MOST_BARS) : bars;
}

// The attempts of a method, of a run on several machines one group for each node.
function byNode(method) {
  const groups = new Map();
  for (const bar of attempts(method)) {
    const node = bar.attempt.node || "";
    if (!groups.has(node)) groups.set(node, []);
    groups.get(node).push(bar);
  }
  if (!groups.size) groups.set("", []);
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([node, bars]) => ({ name: node ? `${method}@${node}` : method, bars }));
}

function states(span) {
  const rows = new Map();
  for (const [at, component, state, reason] of run.changes || []) {
    const list = rows.get(component) || [];
    if (list.length) list[list.length - 1].seconds = at - list[list.length - 1].start;
    list.push({ start: at, seconds: span - at, word: ["healthy", "starting", "unhealthy", "failed", "stopped", "recovering"].includes(state) ? state : "other", state, reason });
    rows.set(component, list);
  }
  return rows;
}

// The load of the machine on the same axis: processors by all programs, by others than the run, and memory.
const LOAD = 54;

function load(y, x, scale) {
  const up = (percent) => y + LOAD - LOAD * Math.min(100, percent) / 100;
  const samples = run.machine.map(([at, seconds, ...figures]) => [x + Math.max(0, at - seconds) * scale, x + at * scale, ...figures]);
  const area = (column) => samples.map((one) => `M${one[0]},${y + LOAD}V${up(one[column])}H${one[1]}V${y + LOAD}Z`).join("");
  const memory = samples.map((one, number) => `${number ? "L" : "M"}${one[0]},${up(one[4])}H${one[1]}`).join("");
  const most = Math.max(1, ...run.machine.map((one) => one[5]));
  const workers = samples.map((one, number) => `${number ? "L" : "M"}${one[0]},${y + LOAD - LOAD * one[5] / most}H${one[1]}`).join("");
  const shown = ([at, seconds, cpu, other, used, workers]) => `up to ${clock(at)}: processors ${cpu} %, by others ${other} %, memory ${used} %, ${plural(workers, "worker")}`;
  return [s("path", { class: "cpu", d: area(2) }), s("path", { class: "others", d: area(3) }), s("path", { class: "memory", d: memory }), s("path", { class: "workers", d: workers }),
    samples.map((one, number) => s("rect", { class: "look", x: one[0], y, width: Math.max(1, one[1] - one[0]), height: LOAD }, s("title", {}, shown(run.machine[number]))))];
}

function timeline(main) {
  const groups = run.methods.flatMap(([method]) => byNode(method));
  const span = Math.max(run.span || 0, ...groups.flatMap((group) => group.bars.map((bar) => bar.start + bar.seconds)), 0.1);
  for (const group of groups) group.lanes = Math.max(1, lanes(group.bars));
  for (const [component, bars] of states(span)) groups.push({ name: component, bars: bars.map((bar) => ({ ...bar, lane: 0 })), lanes: 1 });
  const opened = (run.outages || []).filter((one) => one[2] === "open").map(([start, name, , reason]) => {
    const end = run.outages.find((one) => one[1] === name && one[2] === "closed" && one[0] >= start);
    return { start, seconds: Math.max(0.1, (end ? end[0] : span) - start), word: "failed", state: name, reason: `${reason} ${end ? end[3] : "open"}` };
  });
  if (opened.length) groups.push({ name: "incidents", lanes: lanes(opened), bars: opened });
  const decided = (run.gates || []).filter((gate) => gate.at !== undefined).map((gate) =>
    ({ start: gate.at, seconds: 0.001, word: { passed: "passed", failed: "failed", warned: "flaky" }[gate.result] || "other", state: `${gate.name} ${gate.result}`, reason: gate.values, lane: 0 }));
  decided.sort((a, b) => ["passed", "other", "flaky", "failed"].indexOf(a.word) - ["passed", "other", "flaky", "failed"].indexOf(b.word)); // on top: failed
  if (decided.length) groups.push({ name: "gates", lanes: 1, bars: decided, least: 4 });
  if (run.machine?.length) groups.push({ name: "machine", bars: [], lanes: 3, load: true });
  const width = Math.max(640, (main.clientWidth || 1200) - 80);
  const scale = (width - LABEL - EDGE) / span;
  let y = 24;
  const parts = ticks(span).map((at) => [s("line", { class: "axis", x1: LABEL + at * scale, x2: LABEL + at * scale, y1: 18, y2: "100%" }), s("text", { x: LABEL + at * scale, y: 12, "text-anchor": "middle" }, clock(at))]);
  for (const group of groups) {
    parts.push(s("text", { x: 0, y: y + 14 }, group.name.length > 13 ? `${group.name.slice(0, 12)}…` : group.name, s("title", {}, group.name)));
    if (group.load) parts.push(s("rect", { class: "lane", x: LABEL, y, width: width - LABEL - EDGE, height: LOAD, rx: 3 }));
    else for (let lane = 0; lane < group.lanes; lane += 1) parts.push(s("rect", { class: "lane", x: LABEL, y: y + lane * LANE, width: width - LABEL - EDGE, height: LANE - 3, rx: 3 }));
    for (const bar of group.bars) {
      const rect = s("rect", { class: bar.word, x: LABEL + bar.start * scale, y: y + bar.lane * LANE, width: Math.max(group.least || 1.5, bar.seconds * scale - 1), height: LANE - 3, rx: 3 },
        s("title", {}, bar.task ? saidOf(bar) : `${group.name}: ${bar.state} ${bar.reason || ""}`));
      const label = bar.task && bar.seconds * scale > 9 + 7 * bar.task.test.length ? s("text", { class: "label", x: LABEL + bar.start * scale + 5, y: y + bar.lane * LANE + 13 }, bar.task.test) : "";
      parts.push(bar.task ? s("a", { href: address(bar.task, bar.attempt.number), "aria-label": saidOf(bar) }, rect, label) : rect);
    }
    if (group.load) parts.push(...load(y, LABEL, scale).flat());
    y += group.lanes * LANE + 10;
  }
  const chart = s("svg", { class: "chart", width, height: y, "aria-label": "Attempts and servers over the time of the run" }, parts);
  const loads = run.machine?.length ? [["cpu", "processors"], ["others", "by other programs"], ["memory", "memory"], ["workers", `workers, at most ${Math.max(...run.machine.map((one) => one[5]))}`]] : [];
  const seen = new Set(groups.flatMap((group) => group.bars.map((bar) => bar.word)));
  const words = [["passed", "passed, healthy", "passed", "healthy"], ["failed", "failed, timeout", "failed", "timeout"], ["error", "error", "error", "interrupted"], ["flaky", "unhealthy, warned", "flaky", "unhealthy", "recovering"],
    ["running", "starting", "starting"], ["", "stopped, skipped", "stopped", "skipped", "other"]];
  const legend = [...words.filter(([, , ...kinds]) => kinds.some((kind) => seen.has(kind))), ...loads];
  main.replaceChildren(...[h("section", { class: "card" }, h("h1", {}, "Timeline"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline" }, chart),
    h("ul", { class: "legend" }, legend.map(([word, label]) => h("li", {}, h("i", { class: word }), label)))),
  run.incidents?.length ? table("Incidents", ["incident", "lasted", "outcome", "tests", "reason"], run.incidents) : null].filter(Boolean));
}
