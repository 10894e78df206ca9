"""The report format `tap`: a line for each test, as the Test Anything Protocol has it."""

from orchestra.draw import one_line
from orchestra.report.forms import Form
from orchestra.report.rows import Report


def tap(report: Report, folder: str) -> str:
    lines = ["TAP version 13", f"1..{len(report.rows)}"]
    for number, row in enumerate(report.rows, 1):
        good = "ok" if row.verdict in {"passed", "flaky", "unchanged"} else "not ok"
        lines.append(f"{good} {number} - {one_line(row.task)} {row.verdict}")
    return "\n".join(lines) + "\n"


FORM = Form("report.tap", tap)
