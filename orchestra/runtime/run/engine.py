"""The engine of a run: that of this machine, or one of a cluster, opened before the run begins."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestra import names
from orchestra.errors import UsageError
from orchestra.plan import Plan
from orchestra.runtime.browsers.finder import Browser
from orchestra.runtime.engine.contract import Engine, Opened, Scene
from orchestra.runtime.engine.local import Local
from orchestra.runtime.engine.reported import lookup
from orchestra.runtime.inherited import names_of
from orchestra.runtime.nodes.registry import LOCAL, open_engine
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.run.opening import Options, Run, engine_named, refuse_address
from orchestra.yamltext.places import Places


def opened_engine(root: Path, plan: Plan, options: Options, environment: Mapping[str, str]) -> Opened | None:
    """Return the engine of another machine that a run is to use; None for that of this machine.

    Raises:
        UsageError: there is no such engine, or an option needs this machine.
        MachineError: it cannot be used.
    """
    name = engine_named(plan, options)
    if name == LOCAL:
        refuse_address(plan, options)
        return None
    for flag, given in (
        ("--headed", options.headed),
        ("--update-looks", bool(options.update_looks)),
        ("--pause-on-fail, --step and --until", options.pauser is not None),
        ("--watch", options.spares is not None),
    ):
        if given:
            raise UsageError(
                f'{flag} is about this machine, and the engine "{name}" runs tests on others', "add --engine local"
            )
    who = f"a run of suite {plan.suite} (process {os.getpid()} on {socket.gethostname()})"
    address = options.scheduler or _address(root, plan, name, environment)
    return open_engine(plan, root, name, address, who)


def _address(root: Path, plan: Plan, name: str, environment: Mapping[str, str]) -> str:
    """Return the address that the spec gives, empty for none.

    Raises:
        UsageError: a variable in it is not set, or it is empty with them.
    """
    if plan.engine is None or plan.engine.name != name:
        return ""
    text = plan.engine.scheduler
    message = f'the address of the scheduler, "{text}", is empty'
    try:
        address = names.expand(text, lambda late: lookup(names_of(plan, environment), late))
    except UsageError as error:
        address, message = "", error.message
    if address or not text:
        return address
    # An empty one is no wish for a cluster of this machine.
    where = Places(root, plan.sources, plan.profile).find("/engine/dask/scheduler")
    hint = "set it, name another scheduler with --scheduler, or run here: --engine local"
    raise UsageError(f"{where}: {message}" if where else message, hint)


def engine_of(run: Run, opened: Opened | None, reaper: Reaper, leave: Callable[[], None]) -> Engine:
    """Return the engine of a run that is open.

    Args:
        run: that is open.
        opened: an engine of other machines; None for that of this machine.
        reaper: of the run.
        leave: called when a person ends the run while a test is paused.
    """
    if opened is None:
        return Local(
            run.environment,
            root=run.root,
            folder=run.folder,
            mark=run.mark,
            reaper=reaper,
            masks=run.masks,
            pauser=run.options.pauser,
            leave=leave,
            spares=run.options.spares,
        )
    versions = {engine: one.version for engine, one in run.browsers.items() if isinstance(one, Browser)}
    return opened.engine(
        Scene(
            run=run.id,
            mark=run.mark,
            root=run.root,
            folder=run.folder,
            plan=run.plan,
            tests=tuple({task.test.id: task.test for task in run.tasks.values()}.values()),
            browsers=versions,
            environment=run.environment,
            reaper=reaper,
            masks=run.masks,
            slots=run.plan.engine.slots if run.plan.engine is not None else 0,
        )
    )
