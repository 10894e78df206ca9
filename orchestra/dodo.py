"""Provide the import of a generated dodo.py: the suites of a project as doit tasks, wired to runtime and reports.

In the top layer, next to the command line: it can import everything. A dodo.py is an index of data; the logic is here.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestra import project, streams
from orchestra.errors import OrchestraError
from orchestra.report import watch
from orchestra.runtime import dag
from orchestra.runtime.dag import Launch
from orchestra.runtime.run.session import Options
from orchestra.verbs.proven import proven_plan


def _select(launch: Launch, suite: str, text: str) -> None:
    """Take the tasks and the options of `ORCHESTRA_SELECT`; a mistake in it is reported when doit starts a run."""
    from orchestra.verbs.doit_selection import selected  # noqa: PLC0415 - the command line, which few runs by doit need

    try:
        chosen = selected(launch.project, suite, launch.profile, text, launch.options)
        launch.only, launch.options, launch.several = chosen
    except OrchestraError as error:
        launch.refused = error


class Suites:
    """The suites of one dodo.py.

    Args:
        file: `__file__` of the dodo.py, at the project root or below it.
        suites: for each suite its methods and its tests, as rows of id, title, needs and methods, and of the tests of
            `after_all` that run with it where there are any; the first suite is the default one, whose tasks have no
            prefix.

    `config` is DOIT_CONFIG, `tasks` the generator of tasks.
    """

    def __init__(self, file: str, suites: Mapping[str, Mapping[str, Any]]) -> None:
        streams.open_closed()
        self._suites = suites
        profile = os.environ.get("ORCHESTRA_PROFILE", "")
        launch = Launch(
            project=project.find(Path(file).parent),
            watch=watch.observers,
            options=Options(argv=tuple(sys.argv), force="ORCHESTRA_FORCE" in os.environ),
            profile=profile,
            load=proven_plan,
        )
        first = next(iter(suites), "")
        text = os.environ.get("ORCHESTRA_SELECT", "")
        if first and text:
            _select(launch, first, text)
        tasks = launch.only or (list(suites[first]["methods"]) if first else [])
        self.config: dict[str, Any] = dag.config(launch, tasks)
        atexit.register(dag.forget, self.config)
        dag.seam()

    def tasks(self) -> Iterator[dict[str, Any]]:
        """Yield the doit tasks: `cli:B004` for the default suite, `self:cli:lint` for the others."""
        for index, (suite, data) in enumerate(self._suites.items()):
            for method in data["methods"]:
                prefix = f"{suite}:{method}" if index else method
                yield from dag.test_tasks(prefix, suite, method, data["tests"])
