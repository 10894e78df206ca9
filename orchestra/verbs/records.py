"""The verbs about the record of a run: events, report, audit."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestra import plugins
from orchestra.checkout import SIGN_KEY
from orchestra.draw import terminal_table
from orchestra.errors import EXIT_FAILED, EXIT_OK, UsageError
from orchestra.ledger import integrity, plan_store
from orchestra.ledger.audit import audit as examine
from orchestra.ledger.author import author_of
from orchestra.ledger.event import CATALOGUE, Event
from orchestra.ledger.lock import Holder, Lock, under_way
from orchestra.ledger.log import Writer, utc_stamp
from orchestra.ledger.reading import LedgerError, Tail
from orchestra.ledger.reports import bind_reports
from orchestra.ledger.runs import LAST, LEDGER, runs_of
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.plugins import PluginError
from orchestra.printing import unbroken
from orchestra.project import Project
from orchestra.report import loading, watch
from orchestra.report.console import timeline
from orchestra.report.forms import FORMS, Form, forms_of
from orchestra.suggest import did_you_mean
from orchestra.verbs.chosen_run import (
    home_of,
    optional_run_argument,
    require_methods,
    run_argument,
    run_folder,
)
from orchestra.verbs.group import say, say_data, say_json, warn
from orchestra.verbs.opening import serve_run
from orchestra.verbs.options import methods_option, project_of, suite_option
from orchestra.verbs.publishing import publish_report
from orchestra.verbs.rejudging import print_gates

FOLLOW_SECONDS = 0.2
_RULE = click.Choice(list(integrity.RULES))
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _folder(ctx: click.Context, suite: str | None, run: str) -> tuple[Project, Path]:
    project = project_of(ctx)
    return project, run_folder(project, suite, run)


@click.command(
    epilog="\b\nExamples:\n  orchestra events                          the newest run, an event a line\n"
    "  orchestra events --follow --type verdict  verdicts of the run in progress, or else of the next one\n"
    "  orchestra events 1a2b --method mcp        one method of the run with this part in its id\n"
    "  orchestra events --json                   the ledger's own lines"
)
@optional_run_argument
@suite_option
@click.option(
    "--follow", is_flag=True, help="Follow until the run ends (default: the run in progress, else the next one)."
)
@click.option("--json", "as_json", is_flag=True, help="JSON output, one event per line.")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice(list(CATALOGUE)),
    metavar="TYPE",
    help="Only events of this type; can be repeated.",
)
@methods_option
@click.pass_context
def events(
    ctx: click.Context,
    run: str | None,
    suite: str | None,
    *,
    follow: bool,
    as_json: bool,
    types: tuple[str, ...],
    methods: tuple[str, ...],
) -> int:
    """Print the events of a run, each verified against the chain."""
    project = project_of(ctx)
    folder = _in_progress(project, suite) if follow and run is None else run_folder(project, suite, run or LAST)
    require_methods(project.root, folder, methods)
    tail = Tail(folder / LEDGER)
    while True:
        going = follow and under_way(folder)  # asked before the file is read, so that its last event is not missed
        for event in tail.poll():
            if (not types or event.type in types) and (not methods or _method_of(event) in methods):
                say_json(tail.text.rstrip(b"\n")) if as_json else say(timeline.timeline(event))
        sys.stdout.flush()
        if not going:
            return EXIT_OK
        time.sleep(FOLLOW_SECONDS)


def _in_progress(project: Project, suite: str | None) -> Path:
    """Return the run in progress, or wait for the next one: the newest record may be that of the run before."""
    home = home_of(project, suite, ())
    before = runs_of(home)[:1]
    if before and under_way(home / "runs" / before[0]):
        return home / "runs" / before[0]
    warn(f'no run of suite "{home.name}" is in progress; waiting for the next one')
    while (newest := runs_of(home)[:1]) == before and not (newest and under_way(home / "runs" / newest[0])):
        time.sleep(FOLLOW_SECONDS)
    return home / "runs" / newest[0]


def _method_of(event: Event) -> str:
    """Return the method that an event is about; empty where it is about the run, a server or the machine."""
    return str(getattr(event.body, "method", "")) or str(getattr(event.body, "task", "")).partition(":")[0]


@click.command(
    epilog="\b\nExamples:\n  orchestra report                    rewrite the files of the newest run\n"
    "  orchestra report --format junit     print one of them\n"
    "  orchestra report --format html --embed > run.html   one file with its pictures\n"
    "  orchestra report 1a2b --format md   of the run with this part in its id\n"
    "  orchestra report --commit --push    one commit on refs/orchestra/SUITE, and to its remote"
)
@run_argument
@suite_option
@click.option(
    "--format",
    "form",
    metavar=f"[{'|'.join(FORMS)}|NAME]",
    shell_complete=lambda _ctx, _param, begun: [name for name in FORMS if name.startswith(begun)],
    help="Output format on stdout, NAME one of a plug-in; no file is written.",
)
@click.option("--embed", is_flag=True, help="With --format html: put the pictures into the page.")
@click.option("--open", "opened", is_flag=True, help="Serve the page afterwards, as `orchestra open` does.")
@click.option("--commit", is_flag=True, help="Commit the summary and the baseline to git, without index or work tree.")
@click.option("--ref", metavar="REF", help="With --commit: branch or ref (default: refs/orchestra/SUITE).")
@click.option("--push", is_flag=True, help="With --commit: push the ref to its remote.")
@click.option("--remote", metavar="NAME", default="origin", show_default=True, help="With --push: name of the remote.")
@click.pass_context
def report(
    ctx: click.Context,
    run: str,
    suite: str | None,
    *,
    form: str | None,
    embed: bool,
    opened: bool,
    commit: bool,
    ref: str | None,
    push: bool,
    remote: str,
) -> int:
    """Make the report of a run from its ledger and the plan that it executed."""
    project, folder = _folder(ctx, suite, run)
    plan = plan_store.latest(project.root, folder)
    if embed and form != "html":
        raise UsageError("--embed is about the page", "add --format html, or remove it")
    if opened and (commit or form is not None):
        raise UsageError("--open serves what is written: --commit and --format do not go with it", "remove one of them")
    if commit:
        if form is not None:
            raise UsageError("--commit and --format exclude each other", "remove one of them")
        return publish_report(project.root, folder, plan, ref, remote if push else "")
    if ref is not None or push:
        raise UsageError("--ref and --push need --commit", "add --commit, or remove them")
    if form is not None:
        chosen = _form(form, plan, project.root)
        made = loading.report_of(project.root, plan, folder, embed=embed)
        say_data(chosen.make(made, loading.relative(folder, project.root)), end="")
        return EXIT_OK
    if under_way(folder):
        raise UsageError(
            f"run {folder.name} is in progress and writes its report when it ends", "print it with --format"
        )
    author = author_of(project.root, os.environ)
    with locked(folder):
        paths, faults = watch.write(project.root, plan, folder)
        bind_reports(folder, paths, lambda: datetime.now(UTC), author)
    for path in paths:
        say(loading.relative(path, project.root))
    if faults:
        raise PluginError("; ".join(faults), plugins.REPORT)
    return serve_run(project.root, folder) if opened else EXIT_OK


def _form(name: str, plan: Plan, root: Path) -> Form:
    """Return the form of a name: one of orchestra, or of a plug-in of the suite."""
    if name in FORMS:
        return FORMS[name]
    forms = forms_of(plan, root)
    if name not in forms:
        hint = f"there are {', '.join(forms)}"
        raise UsageError(f'unknown format "{name}"{did_you_mean(name, forms)}', hint)
    return forms[name]


@click.command(
    epilog="\b\nExamples:\n  orchestra audit                                 the newest run\n"
    "  orchestra audit 1a2b                            the run with this part in its id\n"
    "  orchestra audit --gates                         each gate evaluated again, from the ledger alone\n"
    "  orchestra audit --policy                        may a green run be believed?\n"
    "  orchestra audit --policy --require clean_tree   for a release: all that ran is in a commit\n"
    "  orchestra audit --key release.pub.pem           and only the holder of the key wrote the record"
)
@run_argument
@suite_option
@click.option(
    "--gates", is_flag=True, help="Recompute each number of each gate from the ledger, and evaluate it again."
)
@click.option("--policy", is_flag=True, help="Also check the run against the integrity rules, and print each.")
@click.option(
    "--require", multiple=True, type=_RULE, metavar="RULE", help="With --policy: this rule must hold; can be repeated."
)
@click.option(
    "--excuse",
    multiple=True,
    type=_RULE,
    metavar="RULE",
    help="With --policy: this rule need not hold; can be repeated.",
)
@click.option("--key", "key", type=_FILE, metavar="FILE", help="Public key (PEM) that must verify the last seal.")
@click.option("--sign", is_flag=True, help=f"Append a seal, signed by the key in {SIGN_KEY}.")
@click.pass_context
def audit(
    ctx: click.Context,
    run: str,
    suite: str | None,
    *,
    gates: bool,
    policy: bool,
    require: tuple[str, ...],
    excuse: tuple[str, ...],
    key: Path | None,
    sign: bool,
) -> int:
    """Verify the record of a run, offline: chain, plan, evidence, and one final verdict a test, each with its execution.

    Exit 1 when anything is wrong; the first wrong line is named. With --gates also when a gate saw another number than the
    ledger gives, with --policy when a rule that is required is not held, with --key when its seal is not signed by that key.
    """
    if (require or excuse) and not policy:
        raise UsageError("--require and --excuse need --policy", "add --policy, or remove them")
    if both := sorted(set(require) & set(excuse)):
        raise UsageError(f'"{both[0]}" cannot be both required and excused', "remove one of them")
    project, folder = _folder(ctx, suite, run)
    going = under_way(folder)
    if policy and going:
        raise UsageError(f"run {folder.name} is under way: the rules apply to its end", "remove --policy")
    if sign:
        _sign(project, folder, going=going)
    audited = examine(folder, going=going, signed_by=_signed_by(key))
    if audited.damage is not None:
        place = loading.relative(audited.damage.path, project.root)
        say(unbroken(f"{place}:{audited.damage.line}: {audited.damage.message}"))
        return EXIT_FAILED
    end = "sealed" if audited.ended else "under way: so far"
    contents = f"{audited.events} events, {audited.files} files of evidence, {audited.verdicts} verdicts"
    by = f", signed by {audited.signer[:12]}{'' if key else ' (--key verifies it)'}" if audited.signer else ""
    say(f"{folder.name}: {end} whole: {contents}{by}")
    differs = gates and not print_gates(folder)
    if not policy:
        return EXIT_FAILED if differs else EXIT_OK
    facts = integrity.Facts(plan_store.latest(project.root, folder), look(folder, steps=False))
    held = integrity.evaluate(facts, require, excuse)
    rows = [(one.rule, "required" if one.required else "noted only", one.word, one.evidence) for one in held]
    say(terminal_table(("rule", "policy", "result", "evidence"), rows))
    return EXIT_FAILED if differs or any(one.bad for one in held) else EXIT_OK


def _signed_by(key: Path | None) -> Callable[[Mapping[str, Any]], str | None] | None:
    """Return what looks at the signature of a seal; None where no key is given."""
    if key is None:
        return None
    from orchestra.ledger import signing  # noqa: PLC0415 - a third of the start of this verb, for those who ask for it

    public = signing.public_key(key)
    return lambda body: signing.signature_fault(body, public)


def _sign(project: Project, folder: Path, *, going: bool) -> None:
    """Seal a record that is whole once more, signed: the key need not be there while tests run.

    Raises:
        UsageError: there is no key, or the run is under way.
        LedgerError: the record is not whole.
    """
    author = author_of(project.root, os.environ)
    if author.sign is None:
        raise UsageError(f"{SIGN_KEY} is not set", "set it to a private key (Ed25519, PEM), or to the path of one")
    if going:
        raise UsageError(
            f"run {folder.name} is in progress: it is sealed at its end", "`orchestra wait` waits for its end"
        )
    with locked(folder):
        audited = examine(folder)
        if audited.damage is not None:
            raise LedgerError(audited.damage)
        with Writer(folder / LEDGER, now=lambda: datetime.now(UTC), author=author) as writer:
            writer.seal()


def locked(folder: Path) -> Lock:
    """Hold the suite of a run. Raises LockedError when another run does."""
    return Lock(folder.parent.parent / "lock", Holder(os.getpid(), folder.name, utc_stamp(datetime.now(UTC))))
