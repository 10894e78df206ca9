"""A to-do list of one page, and tests of it, for orchestra, for Playwright Test, and as a plain loop: the same steps in all.

Its tests press keys, reload, follow links, and expect counts and lists; the others of `bench.suite` only fill and click.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

from playwright.sync_api import Page, expect, sync_playwright

PAGE: Final = """<!doctype html><meta charset=utf-8><title>To do</title><link rel=icon href=data:,>
<style>li.done label { text-decoration: line-through } li input.edit { display: none }
li.editing input.edit { display: inline } li.editing label { display: none }</style>
<h1>To do</h1><input id=new placeholder="New task" aria-label="New task"><label><input type=checkbox id=all> All done</label>
<ul id=list></ul><p data-testid=left></p><button id=clear>Clear done</button>
<nav><a href="#/">All</a> <a href="#/open">Open</a> <a href="#/done">Done</a></nav>
<script>
let tasks = JSON.parse(localStorage.tasks ?? '[]');
const byId = (id) => document.getElementById(id);
const made = (name, values) => Object.assign(document.createElement(name), values);
function save() { localStorage.tasks = JSON.stringify(tasks); show(); }
function row(task) {
  const item = made('li', { className: task.done ? 'done' : '' });
  item.dataset.testid = 'task';
  const box = made('input', { type: 'checkbox', checked: task.done, ariaLabel: 'Done: ' + task.text });
  box.onchange = () => { task.done = box.checked; save(); };
  const label = made('label', { textContent: task.text });
  label.ondblclick = () => { item.classList.add('editing'); edit.focus(); };
  const edit = made('input', { className: 'edit', value: task.text, ariaLabel: 'Edit' });
  edit.onkeydown = (event) => {
    if (event.key === 'Enter') { task.text = edit.value.trim(); tasks = tasks.filter((one) => one.text); save(); }
    if (event.key === 'Escape') show();
  };
  const remove = made('button', { textContent: 'x', ariaLabel: 'Delete: ' + task.text });
  remove.onclick = () => { tasks = tasks.filter((one) => one !== task); save(); };
  item.append(box, label, edit, remove);
  return item;
}
function show() {
  const kind = location.hash.slice(2);
  byId('list').replaceChildren(...tasks.filter((one) => !kind || (kind === 'done') === one.done).map(row));
  const left = tasks.filter((one) => !one.done).length;
  document.querySelector('[data-testid=left]').textContent = left + (left === 1 ? ' task left' : ' tasks left');
}
byId('new').onkeydown = (event) => {
  const text = byId('new').value.trim();
  if (event.key !== 'Enter' || !text) return;
  tasks.push({ text, done: false }); byId('new').value = ''; save();
};
byId('all').onchange = () => { for (const task of tasks) task.done = byId('all').checked; save(); };
byId('clear').onclick = () => { tasks = tasks.filter((one) => !one.done); save(); };
addEventListener('hashchange', show);
show();
</script>"""

Act = tuple[str, ...]
"""A verb and what it is about."""

SHAPES: Final[dict[str, Sequence[Act]]] = {
    "add": [("add", "A"), ("count", "1"), ("add", "B"), ("count", "2"), ("list", "A", "B"), ("left", "2 tasks left")],
    "check": [
        ("add", "A"),
        ("add", "B"),
        ("check", "A"),
        ("left", "1 task left"),
        ("uncheck", "A"),
        ("left", "2 tasks left"),
    ],
    "edit": [("add", "A"), ("add", "B"), ("open", "B"), ("write", "C", "Enter"), ("list", "A", "C")],
    "cancel": [("add", "A"), ("open", "A"), ("write", "C", "Escape"), ("list", "A"), ("count", "1")],
    "filter": [
        ("add", "A"),
        ("add", "B"),
        ("check", "B"),
        ("follow", "Open"),
        ("list", "A"),
        ("follow", "Done"),
        ("list", "B"),
    ],
    "clear": [
        ("add", "A"),
        ("add", "B"),
        ("check", "A"),
        ("push", "Clear done"),
        ("list", "B"),
        ("push", "Delete: B"),
        ("count", "0"),
    ],
    "keep": [("add", "A"), ("add", "B"), ("check", "B"), ("reload",), ("count", "2"), ("left", "1 task left")],
}
"""Tests by name; one capital letter is the text of a task."""

TESTS: Final = 49


def programs(count: int = TESTS) -> list[tuple[str, list[Act]]]:
    """Return this many tests: the shapes by turns, each time with texts of their own."""
    made: list[tuple[str, list[Act]]] = []
    for number in range(count):
        name = list(SHAPES)[number % len(SHAPES)]
        acts = [tuple(_text(word, number) for word in act) for act in SHAPES[name]]
        made.append((f"{name}_{number}", acts))
    return made


def _text(word: str, number: int) -> str:
    head, _, last = word.rpartition(" ")
    return (
        f"{word} of round {number}" if len(last) == 1 and last.isupper() and (not head or head.endswith(":")) else word
    )


NEW: Final = {"placeholder": "New task"}
EDIT: Final = "li.editing input.edit"


def _steps(act: Act) -> list[dict[str, object]]:
    """Return the act as steps of a spec."""
    match act:
        case ("add", text):
            return [{"fill": {**NEW, "value": text}}, {"press": {**NEW, "key": "Enter"}}]
        case ("count", number):
            return [{"expect": {"testid": "task", "to": {"have_count": int(number)}}}]
        case ("list", *texts):
            return [{"expect": {"css": "li label", "to": {"have_text": list(texts)}}}]
        case ("left", text):
            return [{"expect": {"testid": "left", "to": {"have_text": text}}}]
        case ("check" | "uncheck" as verb, text):
            return [{verb: {"label": f"Done: {text}", "exact": True}}]
        case ("open", text):
            return [{"click": {"text": text, "exact": True, "count": 2}}]
        case ("write", text, key):
            return [{"fill": {"css": EDIT, "value": text}}, {"press": {"css": EDIT, "key": key}}]
        case ("follow", name):
            return [{"click": {"role": "link", "name": name, "exact": True}}]
        case ("push", name):
            return [{"click": {"role": "button", "name": name, "exact": True}}]
        case _:
            return [{"reload": {}}]


def _lines(act: Act) -> list[str]:
    """Return the act as lines of a test for Playwright Test."""
    words = [json.dumps(word) for word in act[1:]]
    match act[0]:
        case "add":
            new = "page.getByPlaceholder('New task')"
            return [f"{new}.fill({words[0]})", f"{new}.press('Enter')"]
        case "count":
            return [f"expect(page.getByTestId('task')).toHaveCount({act[1]})"]
        case "list":
            return [f"expect(page.locator('li label')).toHaveText([{', '.join(words)}])"]
        case "left":
            return [f"expect(page.getByTestId('left')).toHaveText({words[0]})"]
        case "check" | "uncheck":
            return [f"page.getByLabel('Done: ' + {words[0]}, {{ exact: true }}).{act[0]}()"]
        case "open":
            return [f"page.getByText({words[0]}, {{ exact: true }}).dblclick()"]
        case "write":
            return [f"page.locator('{EDIT}').fill({words[0]})", f"page.locator('{EDIT}').press({words[1]})"]
        case "follow" | "push":
            role = "link" if act[0] == "follow" else "button"
            return [f"page.getByRole('{role}', {{ name: {words[0]}, exact: true }}).click()"]
        case _:
            return ["page.reload()"]


def act(page: Page, done: Act) -> None:
    """Carry out the act by plain Playwright for Python."""
    words = done[1:]
    match done[0]:
        case "add":
            page.get_by_placeholder("New task").fill(words[0])
            page.get_by_placeholder("New task").press("Enter")
        case "count":
            expect(page.get_by_test_id("task")).to_have_count(int(words[0]))
        case "list":
            expect(page.locator("li label")).to_have_text(list(words))
        case "left":
            expect(page.get_by_test_id("left")).to_have_text(words[0])
        case "check" | "uncheck":
            box = page.get_by_label(f"Done: {words[0]}", exact=True)
            box.check() if done[0] == "check" else box.uncheck()
        case "open":
            page.get_by_text(words[0], exact=True).dblclick()
        case "write":
            page.locator(EDIT).fill(words[0])
            page.locator(EDIT).press(words[1])
        case "follow" | "push":
            page.get_by_role("link" if done[0] == "follow" else "button", name=words[0], exact=True).click()
        case _:
            page.reload()


def spec_tests(url: str, count: int = TESTS) -> dict[str, object]:
    """Return the tests of a spec."""
    return {
        name: {"steps": [{"goto": url}, *(step for act in acts for step in _steps(act))]}
        for name, acts in programs(count)
    }


def playwright_tests(url: str, count: int = TESTS) -> str:
    """Return a file of tests for Playwright Test."""
    tests = "".join(
        f"test({json.dumps(name)}, async ({{ page }}) => {{\n  await page.goto({json.dumps(url)});\n"
        + "".join(f"  await {line};\n" for act in acts for line in _lines(act))
        + "});\n"
        for name, acts in programs(count)
    )
    return f"const {{ test, expect }} = require('@playwright/test');\n{tests}"


def loop(url: str, count: int, executable: str, args: Sequence[str]) -> None:
    """Carry out the tests by plain Playwright for Python, each in a context of its own, with no tool around them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable or None, args=list(args))
        for _, acts in programs(count):
            context = browser.new_context()
            page = context.new_page()
            page.goto(url)
            for done in acts:
                act(page, done)
            context.close()
        browser.close()


if __name__ == "__main__":
    loop(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
