"""`orchestra run --pause-on-fail`, `--step` and `--until`: a prompt on the terminal while a test waits with its page."""

from __future__ import annotations

import dataclasses
import os
import select
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from orchestra.errors import SpecError, UsageError
from orchestra.ledger.parts import numbered
from orchestra.plan import Plan, Test
from orchestra.printing import unbroken
from orchestra.report.console.lines import details, line
from orchestra.runtime.attempt import AttemptFailure, Pausing
from orchestra.runtime.pausing import Paused, Reply
from orchestra.runtime.run.session import Options
from orchestra.verbs.group import warn
from orchestra.verbs.trying import compiled_step, reasons, step_line, typed_step
from orchestra.yamltext.places import Places

PROMPT: Final = "> "

_GO, _STEP, _AGAIN, _QUIT, _HELP = ("c", "continue"), ("n", "next"), ("r", "retry"), ("q", "quit"), ("h", "help", "?")

_LIST = """\
  c, continue  run on; after a failure the attempt ends with it
  n, next      run one step, and pause again
  r, retry     run the failed step again, and those after it
  q, quit      end the run; `orchestra run --resume` resumes it
  h, help      this list
  a step       as in the spec: `click: {role: button, name: Save}`, `expect: {text: Saved, to: {be: visible}}`
  a target     `{role: button, name: Save}`: is it visible?"""


def pausing_options(options: Options, plan: Plan, tasks: Sequence[str], root: Path, pausing: Pausing) -> Options:
    """Return the options of a run that pauses: one test at a time, and no retries but those that are asked for.

    Args:
        options: of the command line.
        plan: the suite.
        tasks: the selected ones.
        root: the project root.
        pausing: where, at least once.

    Raises:
        UsageError: there is no terminal, or nothing to pause in.
    """
    word = "--pause-on-fail" if pausing.on_fail else "--step" if pausing.step else "--until"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{word} needs a terminal: a person decides what follows", "run it in a terminal")
    ids = {task.partition(":")[2] for task in tasks}
    longest = max((len(test.steps) for test in plan.tests if test.id in ids), default=0)
    if not longest:
        raise UsageError(f"{word}: none of the selected tests has steps", "select a test with steps")
    if pausing.until > longest:
        raise UsageError(
            f"--until {pausing.until}: the selected tests have {longest} steps at most", "name one of them"
        )
    retries = 0 if options.retries is None else options.retries
    return dataclasses.replace(options, pauser=Prompt(root, plan, pausing), workers=1, retries=retries)


class Prompt:
    """Asks the person at the terminal, in a thread of its own: services are watched and signals are heard meanwhile.

    Args:
        root: the project root.
        plan: of the run.
        pausing: where attempts pause.
    """

    def __init__(self, root: Path, plan: Plan, pausing: Pausing) -> None:
        self._root, self._plan = root, plan
        self._pausing = pausing
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._open: dict[str, tuple[Paused, Callable[[Reply], None]]] = {}
        self._lock = threading.Lock()
        self._wakes, self._waker = os.pipe()
        self._thread: threading.Thread | None = None
        self._rest = b""
        self._tries: dict[str, Any] = {}
        self._tried: defaultdict[str, list[Any]] = defaultdict(list)

    @property
    def pausing(self) -> Pausing:
        """Return where an attempt pauses."""
        return self._pausing

    def ask(self, paused: Paused, answer: Callable[[Reply], None]) -> None:
        """Ask about an attempt, after those that wait already."""
        with self._lock:
            self._open[paused.task] = (paused, answer)
        self._asked.put(paused.task)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="prompt", daemon=True)
            self._thread.start()

    def over(self, task: str) -> None:
        """Ask no more about an attempt."""
        with self._lock:
            if self._open.pop(task, None) is not None:
                os.write(self._waker, b"x")

    def _serve(self) -> None:
        while True:
            task = self._asked.get()
            with self._lock:
                paused, answer = self._open.get(task, (None, None))
            if paused is None or answer is None:
                continue
            for text in self._shown(paused):
                warn(text)
            reply = self._decided(paused)
            with self._lock:
                is_open = self._open.pop(task, None) is not None
            if is_open and reply is not None:
                answer(reply)

    def _test(self, paused: Paused) -> Test:
        name = paused.task.partition(":")[2]
        return next(test for test in self._plan.tests if test.id == name)

    def _shown(self, paused: Paused) -> Iterator[str]:
        """Yield where an attempt is and why it waits; of a tried step, its result."""
        failure = paused.failure
        if paused.tried:
            if failure is None:
                self._tried[paused.task].append(self._tries[paused.task])
            yield line("tried", "passed" if failure is None else "failed")
        else:
            yield from self._step_shown(paused)
        if failure is not None:
            yield from _explained(failure)
        if not paused.tried:
            again = "r retry" if failure is not None and paused.position is not None else ""
            yield line("", "c continue", "n next step" if again or failure is None else "", again, "q quit", "h help")

    def _step_shown(self, paused: Paused) -> Iterator[str]:
        word = "paused" if paused.failure is None else "failed"
        if paused.position is None:
            yield line(word, paused.task, "after its last step")
            return
        test = self._test(paused)
        steps = {"before": test.before, "steps": test.steps, "finally": test.finally_}[paused.section]
        places = Places(self._root, self._plan.sources, self._plan.profile)
        at = steps[paused.position].at
        number = f"step {numbered(paused.section, paused.position)} of {len(steps)}"
        yield line(word, paused.task, number, places.text(at))
        if (written := places.data(at[-1])) is not None:
            yield line("", step_line(written))

    def _decided(self, paused: Paused) -> Reply | None:
        """Return the decision of the person; None if the attempt ends before it."""
        while True:
            warn(PROMPT, end="")
            typed = self._typed(paused.task)
            if typed is None:
                warn(line("paused", paused.task, "has ended"))
                return None
            if typed == "":
                return Reply("quit")
            reply = self._understood(paused, typed.strip())
            if reply is not None:
                return reply

    def _understood(self, paused: Paused, text: str) -> Reply | None:
        """Return the decision in a line; None if the line has none."""
        at_step = paused.position is not None
        word = text.lower()
        if not text or word in _HELP:
            warn(_LIST)
        elif word in _QUIT:
            return Reply("quit")
        elif word in _GO:
            return Reply("go")
        elif word in _AGAIN and not (paused.failed and at_step):
            warn(line("", "no step has failed here: `n` runs the next one" if at_step else "all steps are done"))
        elif word in _AGAIN:
            return Reply("again")
        elif word in _STEP:
            return Reply("step")
        else:
            return self._try(paused, text)
        return None

    def _try(self, paused: Paused, text: str) -> Reply | None:
        try:
            step = typed_step(text)
            tried = self._tried[paused.task]
            steps = compiled_step(self._root, self._plan, self._test(paused), step, tried)
        except SpecError as error:
            for reason in reasons(error.diagnostics):
                warn(line("", unbroken(reason)))
            return None
        except UsageError as error:
            warn(line("", unbroken(error.message)))
            warn(line("", unbroken(error.hint)))
            return None
        self._tries[paused.task] = step
        warn(line("try", step_line(step)))
        return Reply("try", steps)

    def _typed(self, task: str) -> str | None:
        """Return the next line with its end; empty if the terminal is gone, None if the attempt has ended."""
        file = sys.stdin.fileno()
        while b"\n" not in self._rest:
            ready = select.select([file, self._wakes], [], [])[0]
            if self._wakes in ready:
                os.read(self._wakes, 1)
                with self._lock:
                    if task not in self._open:
                        return None
                continue
            part = b""
            with suppress(OSError):  # the terminal is gone
                part = os.read(file, 65536)
            if not part:
                return ""
            self._rest += part
        typed, _, self._rest = self._rest.partition(b"\n")
        return typed.decode(errors="replace") + "\n"


def _explained(failure: AttemptFailure) -> Iterator[str]:
    for name in ("message", "expected", "found", "hint"):
        yield from details(name, getattr(failure, name) or "")
