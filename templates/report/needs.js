// Which test needs which: a column for each step of need, and the chain that took longest.
const MOST_NODES = 400;
const NODE = { width: 176, height: 34, gapX: 44, gapY: 12 };

// Depth and longest time of each test that needs another one or is needed, in an order in which needs come first.
function graph() {
  const needs = new Map(run.tests.map((test) => [test.id, (test.needs || []).filter((id) => run.byTest.has(id))]));
  const joined = new Set([...needs].flatMap(([id, ids]) => (ids.length ? [id, ...ids] : [])));
  const nodes = new Map();
  for (const start of joined) {
    const open = [start];
    while (open.length) {
      const id = open[open.length - 1];
      const rest = nodes.has(id) ? [] : needs.get(id).filter((need) => !nodes.has(need));
      if (rest.length && open.length <= run.tests.length) { open.push(...rest); continue; }
      open.pop();
      if (nodes.has(id)) continue;
      const test = run.byTest.get(id);
      const before = needs.get(id).map((need) => nodes.get(need)).filter(Boolean);
      const from = before.reduce((most, node) => (!most || node.sum > most.sum ? node : most), null);
      nodes.set(id, { id, test, needs: needs.get(id), effects: test.unmet, from, depth: Math.max(0, ...before.map((node) => node.depth + 1)), sum: test.seconds + (from?.sum || 0),
        verdict: [...test.there].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict))[0]?.verdict || "waiting" });
    }
  }
  return [...nodes.values()];
}

function longest(nodes) {
  const chain = [];
  let node = nodes.reduce((most, one) => (!most || one.sum > most.sum ? one : most), null);
  for (; node; node = node.from) chain.unshift(node);
  return chain;
}

function place(nodes) {
  const columns = [];
  const depths = [...new Set(nodes.map((node) => node.depth))].sort((a, b) => a - b); // a column that was left out takes no room
  const column = new Map(depths.map((depth, number) => [depth, number]));
  const order = new Map(run.tests.map((test) => [test.id, test.index]));
  for (const node of [...nodes].sort((a, b) => order.get(a.id) - order.get(b.id))) {
    node.row = (columns[column.get(node.depth)] ??= []).push(node) - 1;
    node.x = column.get(node.depth) * (NODE.width + NODE.gapX);
    node.y = node.row * (NODE.height + NODE.gapY);
  }
  return [columns.length * (NODE.width + NODE.gapX) - NODE.gapX, Math.max(...columns.map((one) => one.length)) * (NODE.height + NODE.gapY)];
}

function drawing(nodes, chain) {
  const [width, height] = place(nodes);
  const of = new Map(nodes.map((node) => [node.id, node]));
  const slow = new Set(chain.slice(1).map((node) => `${node.from.id} ${node.id}`));
  const edges = nodes.flatMap((node) => node.needs.map((id) => of.get(id)).filter(Boolean).map((from) => {
    const [x1, y1, x2, y2] = [from.x + NODE.width, from.y + NODE.height / 2, node.x, node.y + NODE.height / 2];
    const middle = (x1 + x2) / 2;
    const kinds = [slow.has(`${from.id} ${node.id}`) && "slow", node.verdict === "blocked" && "stuck"].filter(Boolean);
    return s("path", { class: `edge ${kinds.join(" ")}`, d: `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` }, s("title", {}, `${node.id} needs ${from.id}${node.effects?.[from.id] ? `, else ${node.effects[from.id]}` : ""}`));
  }));
  const boxes = nodes.map((node) => {
    const label = `${node.id}: ${node.verdict}${node.test.seconds ? `, ${duration(node.test.seconds)}` : ""}`;
    return s("a", { href: node.test.there[0] ? address(node.test.there[0]) : "#/", "aria-label": label }, s("rect", { class: `node ${node.verdict}`, x: node.x, y: node.y, width: NODE.width, height: NODE.height, rx: 6 }),
      s("text", { class: "label", x: node.x + 10, y: node.y + 22 }, label.length > 26 ? `${label.slice(0, 25)}…` : label), s("title", {}, `${label} ${node.test.title}`));
  });
  return s("svg", { class: "chart graph", width: width + 8, height: height + 8, viewBox: `-4 -4 ${width + 8} ${height + 8}`, "aria-label": "Tests and what they need" }, edges, boxes);
}

function needs(main) {
  const nodes = graph();
  if (!nodes.length) {
    main.replaceChildren(h("section", { class: "card" }, h("h1", {}, "Needs"), h("p", {}, "No test of this run needs another one.")));
    return;
  }
  const chain = longest(nodes);
  const blocked = nodes.filter((node) => node.verdict === "blocked").length;
  const links = chain.map((node, number) => [number ? " → " : "", h("a", { href: node.test.there[0] ? address(node.test.there[0]) : "#/" }, node.id), ` ${duration(node.test.seconds)}`]);
  main.replaceChildren(h("section", { class: "card" }, h("h1", {}, "Needs"),
    h("p", { id: "critical" }, h("strong", {}, `The longest chain takes ${duration(chain[chain.length - 1].sum)}: `), links),
    blocked > 0 && h("p", {}, `${plural(blocked, "test")} blocked by a need that did not pass.`),
    nodes.length > MOST_NODES ? h("p", { class: "quiet" }, `${nodes.length} tests need each other; the drawing has at most ${MOST_NODES}, those of the longest chain and the blocked ones first.`) : null,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Needs" }, drawing(fewer(nodes, chain), chain))));
}

// A drawing of ten thousand boxes helps no one: the chain, what is blocked, and what these need.
function fewer(nodes, chain) {
  if (nodes.length <= MOST_NODES) return nodes;
  const first = new Set([...chain, ...nodes.filter((node) => BAD.has(node.verdict)), ...nodes].slice(0, MOST_NODES + chain.length));
  return nodes.filter((node) => first.has(node)).slice(0, MOST_NODES);
}
