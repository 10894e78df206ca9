"""`orchestra report --commit`: which files of a run go into git."""

from __future__ import annotations

import json
from pathlib import Path

from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline
from orchestra.ledger.baseline import Entry
from orchestra.ledger.state import state_of
from orchestra.ledger.state_rows import State
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER
from orchestra.report import loading
from orchestra.report.forms import FORMS
from orchestra.report.publish import Git
from orchestra.verbs.group import say


def publish_report(root: Path, folder: Path, plan: Plan, ref: str | None, remote: str) -> int:
    """Commit the summary of a run, what it was, and the baseline with what was measured here; push it where a remote is named.

    Raises:
        UsageError: the run has not ended, there is no git work tree, or the ref is none.
        LedgerError: the ledger is damaged.
        MachineError: the baseline is damaged, or git or the remote refuses.
    """
    view = look(folder, steps=False)
    if view.segment.finish is None or not view.sealed:
        raise UsageError(
            f"run {folder.name} has not ended, so its report is not final", "finish it with `orchestra run --resume`"
        )
    state = state_of(view)
    git = Git(root)
    full = git.full_name(ref or f"refs/orchestra/{plan.suite}")
    made = git.publish(full, _files(root, folder, plan, state), _message(state))
    say(f"{made.ref}: {made.commit[:12]}" + ("" if made.fresh else ", which has this report already"))
    if remote:
        git.push(full, remote)
        say(f"pushed to {remote}")
    return EXIT_OK


def _files(root: Path, folder: Path, plan: Plan, state: State) -> dict[str, bytes]:
    home = f"{PLAN_FOLDER}/{plan.suite}"
    summary = FORMS["md"].make(loading.report_of(root, plan, folder), loading.relative(folder, root))
    facts = {
        "run": state.run,
        "suite": plan.suite,
        "started": state.started,
        "plan_digest": state.plan_digest,
        "source_digest": state.source_digest,
        "exit_code": state.exit_code,
        "counts": state.counts,
        "ledger": {"events": state.seq, "head": state.head},
    }
    files = {
        f"{home}/report/summary.md": summary.encode(errors="backslashreplace"),
        f"{home}/report/run.json": f"{json.dumps(facts, indent=1, sort_keys=True)}\n".encode(),
    }
    if samples := baseline.known(root / home):
        accepted = baseline.entries(root / home / baseline.FILE)
        measured = {key: Entry(taken, folder.name) for key, taken in samples.items()}
        entries = {key: one if one.seconds == samples[key] else measured[key] for key, one in accepted.items()}
        files[f"{home}/{baseline.FILE}"] = baseline.encode({**measured, **entries})
    return files


def _message(state: State) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in state.counts.items() if count)
    return f"Report of run {state.run}\n\nExit code {state.exit_code}; {counts}.\nLedger head {state.head}\n"
