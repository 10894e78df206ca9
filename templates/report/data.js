// The data of the run: compressed in the page, or fetched from the server of a run under way.
const BAD = new Set(["failed", "timeout", "error", "blocked", "interrupted"]);
const ORDER = ["failed", "timeout", "error", "interrupted", "blocked", "running", "flaky", "passed", "unchanged", "skipped", "waiting"];
let run = null;

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function take(data) {
  const tasks = new Map((data.tasks || []).map((task) => [task.task, task]));
  const tests = (data.tests || []).map((test, index) => {
    const cells = data.methods.map(([method]) => tasks.get(`${method}:${test.id}`));
    const there = cells.filter(Boolean);
    const words = [test.id, test.title, data.groups?.[test.group], test.group, ...(test.tags || []),
      ...there.flatMap((task) => [task.reason, task.change, ...(task.degraded || [])])];
    return { ...test, index, cells, there, text: words.filter(Boolean).join("\n").toLowerCase(),
      worst: Math.min(...there.map((task) => ORDER.indexOf(task.verdict))), seconds: Math.max(0, ...there.map((task) => task.seconds || 0)) };
  });
  run = { ...data, tasks: data.tasks || [], byTask: tasks, tests, byTest: new Map(tests.map((test) => [test.id, test])) };
}

const address = (task, attempt) => `#/test/${encodeURIComponent(task.test)}/${encodeURIComponent(task.method)}${attempt ? `/${attempt}` : ""}`;
const titleOf = (test) => run.byTest.get(test)?.title || "";
