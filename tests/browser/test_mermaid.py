"""Titles as hostile as they come are drawn as text by the real Mermaid in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from orchestra import draw
from orchestra import plan as plans
from orchestra.plan import Group, Plan
from tests.support.hostile import NASTY


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.xdist_group("node")
def test_mermaid_draws_hostile_titles_as_text(node_tools, chromium):
    unparted = [text for text in NASTY if not draw._LATE.search(text)]
    groups = tuple(Group(f"g{number}", text) for number, text in enumerate(unparted[:20]))
    pages = [unparted[start : start + 20] for start in range(0, len(unparted), 20)]
    graphs = [
        draw.mermaid(
            Plan(
                suite="s",
                title="t",
                methods=(),
                groups=groups,
                tests=tuple(
                    plans.Test(f"T{number}", text, ("cli",), group=f"g{number}", needs=("T0",) if number else ())
                    for number, text in enumerate(page)
                ),
            )
        )
        for page in pages
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.executable, args=list(chromium.args), env=dict(chromium.env) or None
        )
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=node_tools.modules / "mermaid" / "dist" / "mermaid.min.js")
        drawn = page.evaluate(
            """async (graphs) => {
                window.alert = () => { throw new Error("alert") };
                mermaid.initialize({startOnLoad: false});
                const seen = [];
                for (const [index, graph] of graphs.entries()) {
                    const {svg} = await mermaid.render(`g${index}`, graph);
                    const box = document.createElement("div");
                    box.innerHTML = svg;
                    document.body.append(box);
                    const text = (query) => [...box.querySelectorAll(query)].map((node) => node.textContent);
                    seen.push({
                        nodes: text("g.node"),
                        clusters: text("g.cluster"),
                        edges: box.querySelectorAll("path.flowchart-link").length,
                        foreign: box.querySelectorAll("a, script, img, i, em, strong, code, svg svg").length,
                    });
                }
                return seen;
            }""",
            graphs,
        )
        browser.close()
    for titles, seen in zip(pages, drawn, strict=True):
        assert sorted(seen["nodes"]) == sorted(
            draw.clip(draw.one_line(f"T{number} {text}"), draw.LABEL_LENGTH) for number, text in enumerate(titles)
        )
        assert sorted(seen["clusters"]) == sorted(
            draw.clip(draw.one_line(group.title), draw.LABEL_LENGTH) for group in groups[: len(titles)]
        )
        assert seen["edges"] == len(titles) - 1
        assert seen["foreign"] == 0
