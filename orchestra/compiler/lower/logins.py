"""Lower the logins of a spec."""

from __future__ import annotations

from collections.abc import Mapping

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.emulation import lower_emulation
from orchestra.compiler.lower.requires import components_of
from orchestra.compiler.lower.steps import Known, lower_step, lower_steps, usual
from orchestra.compiler.schema.methods import MethodSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.plan import Login
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS


def lower_logins(
    spec: Spec, methods: Mapping[str, MethodSpec], known: Known, verbs: Mapping[str, Verb] = VERBS
) -> tuple[Login, ...]:
    """Return the logins of a spec. Their page is that of the methods, not that of a group or a test."""
    made = []
    plain = Login("")
    for name, login in spec.get("logins", {}).items():
        steps = lower_steps(spec, login["steps"], f"/logins/{name}/steps", known, (), verbs)
        check = (
            lower_step("http", login["check"]["http"], (f"/logins/{name}/check",), known) if "check" in login else None
        )
        emulation, emulation_by = lower_emulation(spec, {}, (), methods, known)
        made.append(
            Login(
                id=name,
                steps=steps,
                check=check,
                valid_seconds=usual(login.get("valid_seconds", plain.valid_seconds), plain.valid_seconds),
                timeout_seconds=usual(login.get("timeout_seconds", plain.timeout_seconds), plain.timeout_seconds),
                page=resolve.needs_page(spec, login["steps"]),
                emulation=emulation,
                emulation_by=emulation_by,
            )
        )
    return tuple(made)


def components_of_login(spec: Spec, login: Login) -> set[str]:
    """Return the components that the steps and the check of a login name: its tests require them."""
    checks = () if login.check is None else (login.check,)
    return components_of(spec, (*login.steps, *checks), None, (login.emulation, *login.emulation_by.values()))
