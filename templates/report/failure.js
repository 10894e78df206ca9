// One test by one method: why it failed, what the page looked like, and all that was kept of it.
const PICTURES = /\.(png|jpe?g|webp)$/i;
const TEXTS = { page: "The page as text", console: "Console", network: "Requests", service: "Log of a service", log: "Output", mcp: "Tool calls" };

// Words, numbers and signs: the parts of a value that can differ.
const WORDS = /[\p{L}\p{N}_]+(?:[.,:]\p{N}+)*|\s+|./gsu;

// `to have the text "5.40"` is words and a value; only the value is compared with the one that was found.
function valueOf(text) {
  const quoted = text.match(/^([^"]*)("(?:[^"\\]|\\.)*")$/s);
  return quoted ? [quoted[1], quoted[2]] : ["", text];
}

// The parts of two lists: [part of the first, part of the second], one of them null where they differ; null for lists that are too long.
function aligned(a, b) {
  if (a.length * b.length > 250000) return null;
  const common = longestCommon(a, b);
  const out = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push([a[i], b[j]]); i += 1; j += 1; }
    else if (i < a.length && (j >= b.length || common[i + 1][j] >= common[i][j + 1])) { out.push([a[i], null]); i += 1; }
    else { out.push([null, b[j]]); j += 1; }
  }
  return out;
}

function pair(expected, found) {
  const [words, wanted] = valueOf(expected);
  const [before, got] = valueOf(found);
  const all = wanted && got ? aligned(wanted.match(WORDS), got.match(WORDS)) : null;
  const parts = all?.some(([want, have]) => want === have && want.trim()) ? all : null; // without a common part each word would be marked
  const side = (at, text) => (parts ? parts.filter((part) => part[at] !== null).map((part) => (part[1 - at] === null ? h("mark", {}, part[at]) : part[at])) : text);
  return h("div", { class: "pair" }, h("div", { class: "want" }, h("h3", {}, "Expected"), h("pre", {}, words && h("span", { class: "quiet" }, words), side(0, wanted))),
    h("div", {}, h("h3", {}, "Found"), found ? h("pre", {}, before, side(1, got)) : h("p", { class: "quiet" }, "nothing")));
}

function longestCommon(a, b) {
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  return common;
}

// A difference of lines; texts beyond its limit are shown side by side.
function lines(expected, found) {
  const parts = aligned(expected.split("\n"), found.split("\n"));
  if (!parts) return pair(expected, found);
  const line = ([want, got]) => (want === null ? h("div", { class: "ins" }, `+ ${got}`) : got === null ? h("div", { class: "del" }, `- ${want}`) : h("div", {}, `  ${want}`));
  return h("div", {}, h("h3", {}, "Expected (-) and found (+)"), h("pre", { class: "diff" }, parts.map(line)));
}

function compared(error) {
  if (!error.expected && !error.found) return null;
  if (error.expected?.includes("\n") && error.found?.includes("\n")) return lines(error.expected, error.found);
  return pair(error.expected || "", error.found || "");
}

function stepOf(attempt) {
  const where = attempt.error?.where || "";
  return where.replace(/^step/, "Step");
}

function asText(task, attempt) {
  const error = attempt?.error;
  const out = [`${task.task} ${titleOf(task.test)}`, `verdict: ${task.verdict}${task.reason ? `: ${task.reason}` : ""}`, `run: ${run.run} (${run.folder})`];
  if (error) {
    out.push(`attempt ${attempt.number}: ${attempt.outcome} after ${duration(attempt.seconds)}${attempt.node ? ` on ${attempt.node}` : ""}`, `at: ${error.at || "no line"} ${stepOf(attempt)}`.trim());
    for (const name of ["message", "expected", "found", "log", "hint"]) if (error[name]) out.push(`${name}: ${error[name]}`);
    if (error.spec) out.push(`spec:\n${error.spec}`);
  }
  for (const file of attempt?.files || []) {
    out.push(`${file.kind}: ${run.folder}/${file.path || decodeURIComponent(file.href.slice(2))}`);
    if (file.text) out.push(file.text.trimEnd());
  }
  out.push(`repeat: ${again(task)}`);
  return `${out.join("\n")}\n`;
}

const specLines = (text) => h("pre", { class: "spec", "aria-label": "Lines of the spec" }, text.split("\n").map((line) => h("div", { class: line.startsWith(">") ? "hit" : undefined }, line || " ")));

function why(task, attempt) {
  const error = attempt?.error;
  if (!error) {
    return task.reason && h("section", { class: "card" }, h("h2", {}, task.verdict === "blocked" ? "Why it did not run" : "Remark"), h("p", { class: "message" }, task.reason),
      task.spec && specLines(task.spec));
  }
  return h("section", { class: "card" }, h("h2", {}, stepOf(attempt) || "Outside of the steps"), h("p", { class: "message" }, error.message),
    error.hint && h("p", {}, h("strong", {}, "Hint: "), error.hint), compared(error), error.log && h("details", { class: "log", open: true }, h("summary", {}, "Call log"), h("pre", { tabindex: "0" }, error.log)),
    error.at && h("p", { class: "quiet small mono" }, error.at), error.spec && specLines(error.spec));
}

const picture = (file, onload) => h("img", { src: file.picture || file.href, alt: `${file.kind} ${file.name}`, loading: "lazy", onload });
const linked = (file, ...inside) => h("a", { href: file.picture ? undefined : file.href, target: "_blank", rel: "noreferrer" }, inside);

// Frame the elements of the failed step; the size of a picture is known when it is loaded.
function mark(image, file, note) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const seen = file.marks.filter(([left, top, wide, high]) => left < width && top < height && left + wide > 0 && top + high > 0);
  note.textContent = seen.length ? "The frame is around what the step is about." : "What the step is about is outside of this picture.";
  for (const [left, top, wide, high] of seen) {
    const frame = h("span", { class: "frame" });
    Object.assign(frame.style, { left: `${100 * left / width}%`, top: `${100 * top / height}%`, width: `${100 * wide / width}%`, height: `${100 * high / height}%` });
    image.parentElement.append(frame);
  }
}

function figure(file) {
  const note = h("span", { class: "note" });
  return h("figure", { class: file.marks ? "framed" : "" }, linked(file, picture(file, file.marks && ((event) => mark(event.target, file, note)))),
    h("figcaption", {}, file.name, " ", note));
}

// The expected picture over the actual one, up to a line that the slider moves, and their difference.
function looks(attempt) {
  const named = new Map();
  for (const file of (attempt.files || []).filter(isLook)) {
    const name = file.name.replace(/^look-|-(expected|actual|diff)\.png$/g, "");
    named.set(name, { ...named.get(name), [file.kind.replace("look_", "")]: file });
  }
  return [...named].map(([name, { expected, actual, diff }]) => h("section", { class: "card wide" }, h("h2", {}, `Look ${name}`),
    expected && actual ? slider(name, expected, actual) : null,
    h("div", { class: "shots big" }, [expected, actual, diff].filter(Boolean).map((file) => h("figure", {}, linked(file, picture(file)), h("figcaption", {}, file.kind.replace("look_", "")))))));
}

const isLook = (file) => file.kind.startsWith("look_");

function slider(name, expected, actual) {
  const over = h("div", { class: "over" }, picture(expected));
  const place = (percent) => { over.style.clipPath = `inset(0 ${100 - percent}% 0 0)`; };
  const range = h("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": `Expected picture of ${name} over the actual one`, oninput: (event) => place(event.target.value) });
  place(50);
  return h("div", { class: "slider" }, h("div", { class: "row spread small quiet" }, h("span", {}, "expected"), h("span", {}, "actual")), range, h("div", { class: "both" }, picture(actual), over));
}

function shots(attempt, big) {
  const files = (attempt.files || []).filter((file) => PICTURES.test(file.name) && file.kind !== "picture" && !isLook(file));
  if (!files.length) return null;
  return h("section", { class: "card" }, h("h2", {}, plural(files.length, "screenshot")), h("div", { class: `shots ${big ? "big" : ""}` }, [...files].reverse().map(figure)));
}

// A small picture after each step, up to the one that failed.
function strip(attempt) {
  const files = (attempt.files || []).filter((file) => file.kind === "picture");
  if (!files.length) return null;
  const name = (file) => file.name.replace(/\.\w+$/, "").replace(/^(\w+)-(\d+)-(\w+)$/, (_, section, number, verb) => `${section === "steps" ? "step" : section} ${number} ${verb}`);
  return h("section", { class: "card wide" }, h("h2", {}, "After each step"), h("div", { class: "strip", tabindex: "0", role: "region", "aria-label": "Pictures after each step" },
    files.map((file) => h("figure", {}, linked(file, picture(file)), h("figcaption", {}, name(file))))));
}

function texts(attempt) {
  const there = (attempt.files || []).filter((file) => file.text);
  const order = Object.keys(TEXTS);
  there.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  if (!there.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Evidence as text"), there.map((file) => h("details", { open: file.kind === "page" },
    h("summary", {}, `${TEXTS[file.kind] || file.kind}: ${file.name}`), h("pre", { tabindex: "0" }, file.text))));
}

function steps(attempt) {
  if (!attempt.steps?.length) return null;
  return h("section", { class: "card" }, h("h2", {}, plural(attempt.steps.length, "step")), stepList(attempt));
}

function stepList(attempt) {
  if (!attempt.steps?.length) return null;
  const most = Math.max(...attempt.steps.map((step) => step[1]), 0.001);
  return h("ol", { class: "steps" }, attempt.steps.map(([verb, seconds, outcome, calls, number]) => {
    const bar = h("i");
    bar.style.width = `${100 * seconds / most}%`;
    return h("li", { class: outcome === "passed" ? "" : "bad" }, h("span", { class: "no" }, number), h("span", {}, verb, outcome === "passed" ? "" : ` ${outcome}`),
      h("span", { class: "meter", title: calls ? plural(calls, "tool call") : undefined }, bar), h("span", { class: "took" }, duration(seconds)));
  }));
}

function cases(attempt) {
  const all = attempt.cases || [];
  if (!all.length) return null;
  const quiet = (one) => one[1] === "passed" || one[1] === "skipped";
  const [odd, rest] = [all.filter((one) => !quiet(one)), all.filter(quiet)];
  const words = [...new Set(rest.map((one) => one[1]))].map((word) => `${rest.filter((one) => one[1] === word).length} ${word}`).join(", ");
  const left = attempt.cases_left_out ? `, ${attempt.cases_left_out} more in ctrf.json` : "";
  return h("section", { class: "card wide" }, h("h2", {}, plural(all.length + (attempt.cases_left_out || 0), "case")), odd.length > 0 && caseTable(attempt, odd, "Cases that did not pass at once"),
    rest.length > 0 && h("details", { open: !odd.length && rest.length <= 40 }, h("summary", {}, words + left), caseTable(attempt, rest, "Other cases")));
}

function caseTable(attempt, rows, label) {
  const found = (path) => (attempt.files || []).find((file) => file.href.endsWith(`/${path.split("/").map(encodeURIComponent).join("/")}`));
  const links = (paths) => (paths || []).map(found).filter(Boolean).map((file) => [" ", h("a", { href: file.href, target: "_blank", rel: "noreferrer" }, file.name)]);
  const remark = (retries, excused) => [retries && plural(retries, "retry").replace("retrys", "retries"), excused && `excused: ${excused}`].filter(Boolean).join(", ");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, ["case", "result", "time", "why"].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map(([name, verdict, seconds, texts, retries, excused, files]) => h("tr", {}, h("td", { class: "long" }, name), h("td", {}, badge(verdict)), h("td", {}, duration(seconds)),
      h("td", { class: "why" }, (texts || []).map((text) => h("div", {}, text)), h("div", { class: "quiet small" }, remark(retries, excused), links(files))))))));
}

function files(attempt) {
  const there = attempt.files || [];
  const rest = [...(attempt.findings || []), ...(attempt.dropped || []).map((text) => `dropped: ${text}`)];
  if (!there.length && !rest.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Files and findings"), h("ul", { class: "files" },
    there.filter((file) => file.kind !== "picture").map((file) => h("li", {}, `${file.kind}: `, h("a", { href: file.href, target: "_blank", rel: "noreferrer" }, file.name), h("span", { class: "quiet small" }, ` ${bytes(file.bytes)}`), traceLink(file))),
    rest.map((text) => h("li", {}, text))));
}

function traceLink(file) {
  if (file.kind !== "trace" || !file.name.endsWith(".zip")) return "";
  if (served) return [" ", h("a", { href: viewer(file), target: "_blank", rel: "noreferrer" }, "open in the trace viewer")];
  return h("span", { class: "quiet small" }, ` (${tool()} open ${run.run} shows it)`);
}

// A bar for each earlier run and this one: as high as a pass took, full where it did not pass.
function bars(task, height) {
  const points = task.past || [];
  const now = task.attempts && !BAD.has(task.verdict) ? task.seconds : null;
  const all = [...points, [`${run.run} (this run)`, task.verdict, now]];
  const most = Math.max(...all.map((point) => point[2] || 0), 0.001);
  const drawn = all.map(([name, verdict, seconds], number) => s("rect", { x: number * 12, y: height - Math.max(3, height * (seconds || most) / most), width: 9, height: Math.max(3, height * (seconds || most) / most), rx: 2, class: verdict },
    s("title", {}, `${name}: ${verdict}${seconds ? `, ${duration(seconds)}` : ""}`)));
  const verdicts = all.map((point) => point[1]).join(", ");
  return s("svg", { class: "chart", width: all.length * 12, height, role: "img", "aria-label": `${task.task}, ${plural(all.length, "run")}, this one last: ${verdicts}` }, band(task, all.length * 12, height, most), drawn);
}

const usual = (task) => (task.usual ? `usual: ${duration(task.usual[0])} to ${duration(task.usual[1])}` : "");

// The durations that are not unusual, behind the bars, as far as these go.
function band(task, width, height, most) {
  if (!task.usual) return null;
  const y = (seconds) => height - height * Math.min(1, seconds / most);
  return s("rect", { class: "usual", x: 0, y: y(task.usual[1]), width, height: Math.max(1, y(task.usual[0]) - y(task.usual[1])) }, s("title", {}, usual(task)));
}

function past(task) {
  if (!task.past?.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "History"), bars(task, 60), task.trend && h("p", {}, task.trend),
    h("p", { class: "quiet small" }, `${plural(task.past.length, "earlier run")}; a bar is the time of a pass, a full one a run that did not pass.${task.usual ? ` The band is what is ${usual(task)}.` : ""}`));
}

function around(task) {
  const test = run.byTest.get(task.test);
  const name = (id) => (run.byTest.get(id)?.there[0] ? h("a", { href: address(run.byTest.get(id).there[0]) }, id) : id);
  const listed = (label, ids, effects) => ids?.length > 0 && h("li", {}, `${label} `, ids.map((id, number) => [number ? ", " : "", name(id), effects?.[id] ? ` (else ${effects[id]})` : ""]));
  const neededBy = run.tests.filter((other) => other.needs?.includes(task.test)).map((other) => other.id);
  return h("ul", { class: "facts" }, [test.group && h("li", {}, `group ${run.groups[test.group] || test.group}`), listed("needs", test.needs, test.unmet), listed("needed by", neededBy), test.tags?.length > 0 && h("li", {}, `tags ${test.tags.join(", ")}`),
    task.degraded?.length > 0 && h("li", {}, `degraded: ${task.degraded.join(", ")}`), task.excused && h("li", {}, `excused: ${task.excused}`), task.incidents?.length > 0 && h("li", {}, `overlapped ${task.incidents.join(", ")}`), task.place && !task.tries?.length && h("li", {}, task.place)]);
}

// All attempts next to each other: what failed at first, and what was another one later.
function sideBySide(tries) {
  return h("div", { class: "columns" }, tries.map((attempt) => {
    const error = attempt.error;
    const last = (attempt.files || []).filter((file) => PICTURES.test(file.name) && file.kind !== "picture" && !isLook(file)).pop();
    return h("section", { class: "card" }, h("h2", {}, `Attempt ${attempt.number} `, badge(attempt.outcome)),
      h("p", { class: "quiet small" }, [duration(attempt.seconds), attempt.node && `on ${attempt.node}`, stepOf(attempt), attempt.held ? "held: a server was down" : "", ...(attempt.incidents || [])].filter(Boolean).join(" · ")),
      error && h("p", { class: "message" }, error.message), error && compared(error), last && h("div", { class: "shots big" }, figure(last)), stepList(attempt));
  }));
}

function neighbours(task) {
  const bad = run.tasks.filter((one) => BAD.has(one.verdict) || one === task);
  const at = bad.indexOf(task);
  const link = (one, label) => (one ? h("a", { href: address(one) }, label) : "");
  return [link(bad[at - 1], "← failure before"), link(bad[at + 1], "next failure →")];
}

function detail(main, test, method, number) {
  const row = run.byTest.get(test);
  const task = run.byTask.get(`${method}:${test}`) || row?.there[0];
  if (!task) {
    main.replaceChildren(h("section", { class: "card" }, h("h1", {}, "No such test"), h("p", {}, `This run has no test "${test}" by "${method}". `, h("a", { href: "#/" }, "All tests"))));
    return;
  }
  const tries = task.tries || [];
  const all = number === "all" && tries.length > 1;
  const attempt = tries.find((one) => String(one.number) === number) || tries[tries.length - 1];
  const tabs = [row.there.length > 1 && h("nav", { class: "tabs", "aria-label": "Methods" }, row.there.map((one) => h("a", { href: address(one), "aria-current": one === task ? "page" : undefined }, one.method, badge(one.verdict)))),
    tries.length > 1 && h("nav", { class: "tabs", "aria-label": "Attempts" }, tries.map((one) => h("a", { href: address(task, one.number), "aria-current": one === attempt && !all ? "page" : undefined }, `attempt ${one.number}`, badge(one.outcome), one.held ? "held" : "")),
    h("a", { href: address(task, "all"), "aria-current": all ? "page" : undefined }, "side by side"))];
  main.replaceChildren(...[
    h("div", { class: "crumbs" }, h("a", { href: "#/" }, "All tests"), h("span", { class: "row" }, neighbours(task))),
    h("section", { class: "card" }, h("h1", {}, `${task.test} ${row.title}`), h("div", { class: "row" }, badge(task.verdict), h("span", { class: "quiet" }, `${task.method}${task.attempts ? ` · ${duration(task.seconds)} · ${plural(task.attempts, "attempt")}` : ""} ${task.mark || ""}`), onNode(task.verdict === "running" ? task : attempt), task.verdict === "running" && runningStep(task)), around(task),
      h("div", { class: "row spread" }, h("div", { class: "row" }, tabs), h("div", { class: "row" }, tries.map((one) => one === attempt && traceOf({ ...task, tries: [one] }, "trace")), copyButton("Copy all of this as text", () => asText(task, attempt)))),
      command(again(task))),
    all ? sideBySide(tries) : why(task, attempt),
    ...(attempt && !all ? [...looks(attempt), strip(attempt), cases(attempt), columns([shots(attempt, true), steps(attempt), past(task)], [texts(attempt), files(attempt)])] : [past(task)]),
  ].filter(Boolean));
}

// Two columns that are filled one by one, so that a short part leaves no hole.
function columns(...sides) {
  const stacks = sides.map((side) => side.filter(Boolean)).filter((side) => side.length);
  return stacks.length ? h("div", { class: "grid" }, stacks.map((side) => h("div", { class: "stack" }, side))) : null;
}

const tool = () => run.tool || "orchestra";
const again = (task) => `${tool()} run --suite ${run.suite}${run.profile ? ` --profile ${run.profile}` : ""} ${quoted(task.test)} --method ${task.method}`;
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`);
