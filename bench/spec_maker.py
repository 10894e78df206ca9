"""Make a spec of any number of tests: what every benchmark of the compiler reads.

Each test has 23 lines and about 660 bytes: title, group, needs, six steps with targets and texts, a time limit, tags.
Deterministic: the same number gives the same bytes.

    python bench/spec_maker.py 1000 > specs/large.yaml
"""

from __future__ import annotations

import sys

_HEAD = """\
orchestra: 1
suite: large
title: A suite of {count} generated tests
vars:
  ticker: NVDA
health:
  shop:
    title: The shop
    url: "http://127.0.0.1:8000"
    ready: {{http: {{path: /health, status: 200}}, within_seconds: 60}}
methods:
  cli: {{title: Playwright, driver: playwright, command: test_cli_full}}
defaults:
  timeout_seconds: 120
  requires: [shop]
groups:
{groups}
gates:
  after:
    pass_rate: {{require: 'pass_rate >= 1.0'}}
tests:
"""
_GROUP = "  area_{number}: {{title: Area {number} of the shop}}"
_TEST = """\
  T{number:05}:
    title: Customer {number} finds product {product} and orders it
    group: area_{group}
    needs: [{needs}]
    timeout_seconds: {timeout}
    tags: [smoke, area{group}]
    steps:
      - goto: "${{shop.url}}/products/{product}?ref=T{number:05}"
      - fill:
          label: Search
          value: "${{vars.ticker}} product {product}"
      - click:
          role: button
          name: Add product {product} to the basket
      - expect:
          testid: basket-count-{number}
          to: {{have_text: "{product} items"}}
          within_seconds: 15
      - wait:
          text: Order {number} is confirmed
          within_seconds: 30
          unless: {{testid: error-banner}}
      - screenshot: order-{number}
"""
GROUPS = 20


def spec(tests: int) -> str:
    """Return the text of a spec with this many tests; a test needs one or two that stand before it."""
    head = _HEAD.format(count=tests, groups="\n".join(_GROUP.format(number=number) for number in range(GROUPS)))
    return head + "".join(_test(number) for number in range(tests))


def _test(number: int) -> str:
    needs = sorted({number // 2, number - 1} - {number, -1})
    return _TEST.format(
        number=number,
        product=number * 7919 % 1000,
        group=number % GROUPS,
        needs=", ".join(f"T{need:05}" for need in needs),
        timeout=60 + number % 60,
    )


if __name__ == "__main__":
    sys.stdout.write(spec(int(sys.argv[1])))
