"""Old runs go whole; what something rests on stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger import history
from orchestra.ledger.retention import doomed, prune

NAMES = [f"202601{day:02d}T000000Z-00{day:02d}" for day in range(9, 0, -1)]


@given(st.lists(st.sampled_from(NAMES), unique=True), st.integers(-2, 12), st.sets(st.sampled_from(NAMES)))
def test_the_newest_and_the_held_stay(names, keep, held):
    names = sorted(names, reverse=True)
    gone = doomed(names, keep, held)
    assert not set(gone) & held
    assert not set(gone) & set(names[: max(keep, 1)])
    assert set(names) - set(gone) - held == set(names[: max(keep, 1)]) - held


def test_runs_are_removed_and_what_rests_on_them_is_not(tmp_path):
    for name in NAMES:
        folder = tmp_path / "runs" / name
        (folder / "attempts").mkdir(parents=True)
        (folder / "events.jsonl").write_text("")
    (tmp_path / "runs" / ".removed-half").mkdir()
    (tmp_path / "runs" / "last").symlink_to(NAMES[5])
    history.save(
        tmp_path / "history.json",
        {"cli:a": history.Past(1.0, NAMES[7], "digest"), "cli:b": history.Past(1.0, NAMES[8])},
    )
    gone = prune(tmp_path, 3)
    assert gone == [NAMES[3], NAMES[4], NAMES[6], NAMES[8]]
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == sorted([*NAMES[:3], NAMES[5], NAMES[7], "last"])
    assert prune(tmp_path, 3) == []
