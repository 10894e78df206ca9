"""The queue: order, barriers, resources, priorities; as a simulation over random plans."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestra.plan import Component, Connect, Group, Method, Plan, Pool, Service
from orchestra.plan import Test as Case
from orchestra.runtime.engine.admission import Load
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.select import task_name
from orchestra.runtime.simulation import simulate as simulated_run
from orchestra.steps.step import Step


@st.composite
def plans(draw):
    """Plans whose tests are listed in an order that their edges allow, as lowering lists them."""
    groups = draw(st.integers(0, 3))
    group_after = [draw(st.sets(st.integers(0, i - 1), max_size=2)) if i else set() for i in range(groups)]
    outer = [()] * groups
    for i in range(1, groups):
        outer[i] = draw(st.sampled_from([(), *((j, *outer[j]) for j in (i - 1, *outer[i - 1]))]))
        group_after[i] = (group_after[i] - set(outer[i])).union(*(group_after[j] for j in outer[i]))
    methods = draw(st.integers(1, 2))
    tests = []
    for index in range(draw(st.integers(1, 12))):
        edges = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        split = draw(st.integers(0, 3))
        group = min(groups - 1, index * groups // 12)
        names = [f"t{other}" for other in sorted(edges)]
        tests.append(
            Case(
                id=f"t{index}",
                title="",
                methods=tuple(f"m{i}" for i in range(methods)),
                group=f"g{group}" if groups else "",
                outer=tuple(f"g{i}" for i in outer[group]) if groups else (),
                needs=tuple(names[:split]),
                after=tuple(names[split:]),
                resources={"r": draw(st.integers(1, 2))} if draw(st.booleans()) else {},
                exclusive=draw(st.integers(0, 4)) == 0,
                takes=dict.fromkeys(("one", "two")[: draw(st.integers(0, 2))], "p"),
            )
        )
    return Plan(
        suite="s",
        title="",
        tests=tuple(tests),
        methods=tuple(Method(f"m{i}", "", "command", parallel=draw(st.booleans())) for i in range(methods)),
        groups=tuple(
            Group(f"g{i}", "", tuple(f"g{j}" for j in sorted(group_after[i])), tuple(f"g{j}" for j in outer[i]))
            for i in range(groups)
        ),
        resources={"r": 2},
        pools=(Pool("p", ({"name": "ana"}, {"name": "${env.B}"}, {"name": "c"})),),
    )


def simulate(plan: Plan, selection: list[str], seed: int, shuffled: int | None = None) -> list[tuple[str, str]]:
    """Push what doit would push, take what may run, end in any order; the events."""
    chance = random.Random(seed)
    queue = Queue(plan, selection, seed=shuffled)
    tests = {test.id: test for test in plan.tests}
    selected, done, pushed, running, events = set(selection), set(), set(), [], []

    def needs(task):
        method, _, name = task.partition(":")
        return {other for need in tests[name].needs if (other := task_name(method, need)) in selected}

    while len(done) < len(selection):
        for task in selection:
            if task not in pushed and needs(task) <= done:
                pushed.add(task)
                queue.push(task)
        for method in plan.methods:
            while len(running) < 4 and (task := queue.take(method.id)) is not None:
                running.append(task)
                held = [entry for one in running for entry in queue.pools.held(one).values()]
                assert len({entry.label for entry in held}) == len(held)
                assert queue.pools.held(task).keys() == tests[task.partition(":")[2]].takes.keys()
                events.append(("start", task))
        assert running, f"stuck with {set(selection) - done}"
        task = running.pop(chance.randrange(len(running)))
        queue.release(task)
        assert not queue.pools.held(task)
        queue.done(task)
        done.add(task)
        events.append(("end", task))
    return events


@given(plans(), st.integers(0, 1000), st.data(), st.none() | st.integers(0, 9))
def test_every_selected_task_runs_once_and_in_order(plan, seed, data, shuffled):
    everything = [task_name(method.id, test.id) for method in plan.methods for test in plan.tests]
    chosen = data.draw(st.sets(st.sampled_from(everything), min_size=1))
    selection = [task for task in everything if task in chosen]
    events = simulate(plan, selection, seed, shuffled)
    assert sorted(task for what, task in events if what == "start") == sorted(selection)
    at = {event: index for index, event in enumerate(events)}
    tests = {test.id: test for test in plan.tests}
    after = {group.id: group.after for group in plan.groups}
    for task in selection:
        method, _, name = task.partition(":")
        for other in (*tests[name].needs, *tests[name].after):
            if (before := task_name(method, other)) in chosen:
                assert at["end", before] < at["start", task]
        for other in selection:
            by, _, its = other.partition(":")
            if by == method and {*tests[its].groups} & {*after.get(tests[name].group, ())}:
                assert at["end", other] < at["start", task]
    order = [method.id for method in plan.methods]
    for method in plan.methods:
        if method.parallel:
            continue
        mine = [at["start", task] for task in selection if task.startswith(f"{method.id}:")]
        earlier = order[: order.index(method.id)]
        theirs = [at["end", task] for task in selection if task.partition(":")[0] in earlier]
        assert not mine or not theirs or max(theirs) < min(mine)


@given(plans(), st.integers(0, 1000))
def test_resources_are_never_overdrawn(plan, seed):
    selection = [task_name(method.id, test.id) for method in plan.methods for test in plan.tests]
    tests = {test.id: test for test in plan.tests}
    held = 0
    for what, task in simulate(plan, selection, seed):
        count = tests[task.partition(":")[2]].resources.get("r", 0)
        held += count if what == "start" else -count
        assert 0 <= held <= 2


@given(plans(), st.integers(0, 1000), st.none() | st.integers(0, 9))
def test_an_exclusive_test_runs_while_no_other_does(plan, seed, shuffled):
    selection = [task_name(method.id, test.id) for method in plan.methods for test in plan.tests]
    exclusive = {test.id for test in plan.tests if test.exclusive}
    running: set[str] = set()
    for what, task in simulate(plan, selection, seed, shuffled):
        if what == "start":
            running.add(task)
            assert len(running) == 1 or not any(one.partition(":")[2] in exclusive for one in running)
        else:
            running.discard(task)


def test_an_exclusive_test_that_is_next_is_waited_for():
    tests = (Case("a", "", ("m",)), Case("alone", "", ("m",), exclusive=True), Case("c", "", ("m", "n")))
    methods = (Method("m", "", "command"), Method("n", "", "command", parallel=True))
    names = ["m:a", "m:alone", "m:c", "n:c"]
    queue = Queue(Plan("s", "", tests, methods), names, {"m:a": 9.0, "m:alone": 5.0, "m:c": 1.0, "n:c": 1.0})
    for name in names:
        queue.push(name)
    assert [queue.take("m"), queue.take("m"), queue.take("m"), queue.take("n")] == ["m:a", None, None, None]
    queue.release("m:a")
    queue.done("m:a")
    assert [queue.take("n"), queue.take("m"), queue.take("m"), queue.take("n")] == [None, "m:alone", None, None]
    queue.release("m:alone")
    queue.done("m:alone")
    assert [queue.take("n"), queue.take("m")] == ["n:c", "m:c"]


def test_an_exclusive_test_that_was_decided_meanwhile_holds_nothing_up():
    tests = (Case("a", "", ("m",)), Case("alone", "", ("m",), exclusive=True), Case("c", "", ("m",)))
    queue = Queue(Plan("s", "", tests, (Method("m", "", "command"),)), ["m:a", "m:alone", "m:c"])
    for name in ("m:a", "m:alone", "m:c"):
        queue.push(name)
    assert [queue.take("m"), queue.take("m")] == ["m:a", None]
    queue.done("m:alone")
    assert queue.take("m") is not None


def test_the_longest_remaining_path_goes_first():
    tests = (
        Case("short", "", ("m",)),
        Case("head", "", ("m",)),
        Case("tail", "", ("m",), needs=("head",)),
    )
    plan = Plan("s", "", tests, (Method("m", "", "command"),))
    queue = Queue(plan, ["m:short", "m:head", "m:tail"], {"m:short": 5.0, "m:head": 1.0, "m:tail": 9.0})
    queue.push("m:short")
    queue.push("m:head")
    assert [queue.take("m"), queue.take("m"), queue.take("m")] == ["m:head", "m:short", None]


def test_a_group_is_complete_with_the_groups_inside_it_and_passes_their_order_on():
    inside = {"group": "in", "outer": ("out",)}
    tests = (Case("a", "", ("m",), group="out"), Case("b", "", ("m",), **inside), Case("c", "", ("m",), group="next"))
    groups = (Group("out", ""), Group("in", "", ("first",), ("out",)), Group("next", "", ("out",)), Group("first", ""))
    plan = Plan("s", "", (*tests, Case("f", "", ("m",), group="first")), (Method("m", "", "command"),), groups)
    queue = Queue(plan, ["m:a", "m:b", "m:c"])
    queue.push("m:c")
    for name in ("m:a", "m:b"):
        assert queue.take("m") is None
        queue.push(name)
        assert queue.take("m") == name
        assert not queue.completed("m", "out")
        queue.release(name)
        queue.done(name)
    assert queue.completed("m", "out")
    assert queue.take("m") == "m:c"
    queue = Queue(plan, ["m:f", "m:c"])
    queue.push("m:c")
    assert queue.take("m") is None


def test_an_empty_group_passes_its_own_order_on():
    tests = (Case("a", "", ("m",), group="g0"), Case("c", "", ("m",), group="g2"))
    groups = (Group("g0", ""), Group("g1", "", ("g0",)), Group("g2", "", ("g1",)))
    queue = Queue(Plan("s", "", tests, (Method("m", "", "command"),), groups), ["m:a", "m:c"])
    queue.push("m:c")
    assert queue.take("m") is None
    queue.push("m:a")
    assert queue.take("m") == "m:a"
    queue.release("m:a")
    queue.done("m:a")
    assert queue.take("m") == "m:c"
    assert queue.completed("m", "g0")
    assert not queue.completed("m", "g2")


def test_a_seed_repeats_its_order_even_in_a_single_session():
    tests = tuple(Case(f"t{number}", "", ("m",)) for number in range(30))
    plan = Plan("s", "", tests, (Method("m", "", "mcp", single_session=True),))
    names = [f"m:t{number}" for number in range(30)]

    def order(seed):
        queue = Queue(plan, names, {"m:t3": 9.0}, seed)
        for name in reversed(names):
            queue.push(name)
        return [queue.take("m") for _ in names]

    assert order(None) == names
    assert order(4) == order(4)
    assert sorted(order(4)) == sorted(names)
    assert len({tuple(order(seed)) for seed in (None, 4, 5)}) == 3


def test_a_single_session_keeps_the_order_of_the_plan():
    tests = (Case("short", "", ("m",)), Case("long", "", ("m",)))
    plan = Plan("s", "", tests, (Method("m", "", "mcp", single_session=True),))
    queue = Queue(plan, ["m:short", "m:long"], {"m:short": 1.0, "m:long": 9.0})
    queue.push("m:long")
    queue.push("m:short")
    assert [queue.take("m"), queue.take("m")] == ["m:short", "m:long"]


def test_a_slot_is_held_for_a_task_that_doit_is_about_to_push():
    tests = (Case("head", "", ("m",)), Case("tail", "", ("m",), needs=("head",)), Case("short", "", ("m",)))
    plan = Plan("s", "", tests, (Method("m", "", "command"),))

    def ended():
        queue = Queue(plan, ["m:head", "m:tail", "m:short"], {"m:head": 1.0, "m:tail": 9.0, "m:short": 2.0})
        queue.push("m:head")
        queue.push("m:short")
        assert queue.take("m", 1) == "m:head"
        queue.release("m:head")
        queue.done("m:head")
        return queue

    one = ended()
    assert one.take("m", 1) is None
    one.push("m:tail")
    assert [one.take("m", 1), one.take("m", 1), one.take("m", 1)] == ["m:tail", "m:short", None]
    two = ended()
    assert [two.take("m", 2), two.take("m", 1)] == ["m:short", None]
    assert ended().take("m") == "m:short"


def starts(plan: Plan, seconds: dict[str, int], *, late: bool, load: Load | None = None) -> list[tuple[int, list[str]]]:
    """Return when each task starts with three slots; `late` is when doit pushes after free slots were asked for."""
    selection = list(seconds)
    queue, tests, now = Queue(plan, selection, seconds, load=load), {test.id: test for test in plan.tests}, 0
    done, pushed, running, log = set(), set(), {}, []

    def push():
        for task in selection:
            if task not in pushed and {f"m0:{need}" for need in tests[task[3:]].needs} <= done:
                pushed.add(task)
                queue.push(task)

    def take(offered):
        while len(running) < 3 and (task := queue.take("m0", None if offered else 3 - len(running))) is not None:
            running[task] = now + seconds[task]
            begun.append(task)

    while len(done) < len(selection):
        begun: list[str] = []
        if late and now:
            take(offered=False)
        push()
        take(offered=True)
        log.append((now, sorted(begun)))
        now = min(running.values())
        for task in [task for task in selection if running.get(task) == now]:
            del running[task]
            queue.release(task)
            queue.done(task)
            done.add(task)
    return log


@given(plans(), st.data())
def test_a_late_push_starts_the_same_tasks_at_the_same_times(plan, data):
    plan = msgspec.structs.replace(plan, methods=plan.methods[:1])
    seconds = {f"m0:{test.id}": data.draw(st.integers(1, 9)) for test in plan.tests}
    assert starts(plan, seconds, late=True) == starts(plan, seconds, late=False)


def test_a_verdict_that_comes_before_those_of_its_needs_holds_no_slot():
    tests = (Case("head", "", ("m",)), Case("tail", "", ("m",), needs=("head",)), Case("short", "", ("m",)))
    queue = Queue(Plan("s", "", tests, (Method("m", "", "command"),)), ["m:head", "m:tail", "m:short"])
    queue.done("m:tail")
    queue.done("m:head")
    queue.push("m:short")
    assert queue.take("m", 1) == "m:short"


def test_no_more_tests_run_at_once_than_there_are_ports_for_instances():
    app = Component("app", "", service=Service(("serve",), ports=(8000, 8001)), per="worker")
    tests = tuple(Case(f"t{number}", "", ("m",), requires=("app",)) for number in range(3))
    free = Case("free", "", ("m",))
    plan = Plan("s", "", (*tests, free), (Method("m", "", "command"),), components=(app,))
    queue = Queue(plan, names := [f"m:{test.id}" for test in plan.tests])
    for name in names:
        queue.push(name)
    assert [queue.take("m") for _ in range(4)] == ["m:t0", "m:t1", "m:free", None]
    queue.release("m:t0")
    assert queue.take("m") == "m:t2"
    simulated = simulated_run(plan, names, {"m": 4}, dict.fromkeys(names, 1.0))
    assert simulated.starts["m:t2"].why == "instances per worker"
    assert simulated.seconds == 2.0


def test_no_more_tests_of_a_method_have_a_remote_browser_than_it_has_sessions():
    page = (Step("goto", {"url": "https://a.example"}),)
    tests = tuple(Case(f"t{number}", "", ("far", "cli"), steps=page) for number in range(3))
    free = Case("free", "", ("far",), steps=(Step("http", {}),))
    methods = (
        Method("far", "", "playwright", connect=Connect("ws://a", 2)),
        Method("cli", "", "playwright", parallel=True),
    )
    plan = Plan("s", "", (*tests, free), methods)
    queue = Queue(plan, names := [*(f"{way}:{test.id}" for way in ("far", "cli") for test in tests), "far:free"])
    for name in names:
        queue.push(name)
    assert [queue.take("far") for _ in range(4)] == ["far:t0", "far:t1", "far:free", None]
    assert [queue.take("cli") for _ in range(3)] == ["cli:t0", "cli:t1", "cli:t2"]
    queue.release("far:t0")
    assert queue.take("far") == "far:t2"
    simulated = simulated_run(plan, names, {"far": 4, "cli": 4}, dict.fromkeys(names, 1.0))
    assert simulated.starts["far:t2"].why == "sessions of far"
