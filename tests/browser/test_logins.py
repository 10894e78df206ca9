"""Tests that begin signed in: by both browser methods, with one state that both share."""

from __future__ import annotations

import msgspec
import pytest

from orchestra.plan import Login
from orchestra.runtime.logins import Store
from tests.support.both import failed, passed
from tests.support.requests import steps
from tests.support.site import page

pytestmark = pytest.mark.browser

TOKEN = "t0k3n-of-the-local-storage"
SIGN_IN = page(
    f"""<p>signing in</p><script>
    document.cookie = 'sid=s3ss10n-0f-adm1n; path=/; max-age=3600';
    localStorage.token = '{TOKEN}';
    const opened = indexedDB.open('auth', 1);
    opened.onupgradeneeded = () => opened.result.createObjectStore('keys').put('k3y-0f-the-database', 'key');
    opened.onsuccess = () => {{ document.querySelector('p').textContent = 'signed in'; }};
    </script>"""
)
STORED = """async () => {
  const open = indexedDB.open('auth');
  const database = await new Promise((done) => { open.onsuccess = () => done(open.result); });
  let key = 'none';
  if (database.objectStoreNames.length) {
    const asked = database.transaction('keys').objectStore('keys').get('key');
    key = await new Promise((done) => { asked.onsuccess = () => done(asked.result); });
  }
  return [document.cookie, localStorage.token ?? 'none', key];
}"""
SEES = {"evaluate": {"script": STORED, "equals": ["sid=s3ss10n-0f-adm1n", TOKEN, "k3y-0f-the-database"]}}
SENDS = {"http": {"GET": "${s.url}/echo", "match": {"$.cookie": "sid=s3ss10n-0f-adm1n"}}}
CHECK = steps([SENDS])[0]


def login(*said, **changes):
    return Login("admin", steps=steps(said), page=True, check=CHECK, **changes)


ADMIN = login(SIGN_IN, {"expect": {"text": "signed in", "to": {"be": "visible"}}}, {"set": {"who": "admin"}})


def reasons(results):
    return [note.data["reason"] for result in results for note in result.notes]


def test_a_login_is_made_once_and_each_page_and_request_begins_with_it(both):
    wanted = (
        SEES,
        SENDS,
        {"set": {"text": "${saved.who}"}},
        {"evaluate": {"script": "() => '${saved.who}'", "equals": "admin"}},
    )
    results = passed(both(*wanted, login=ADMIN))
    assert reasons(results) == ["first use"]
    assert [result.facts["login"] for result in results] == ["admin", "admin"]
    assert [step.verb for step in results[0].steps] == ["goto", "evaluate", "http", "set", "evaluate"]
    nothing = {"evaluate": {"script": STORED, "equals": ["", "none", "none"]}}
    later = both.again()
    passed(later(nothing, {"http": {"GET": "${s.url}/echo", "match": {"$.cookie": None}}}))
    store = Store(both.logins, "admin")
    assert {TOKEN, "k3y-0f-the-database"} <= {*store.load().hidden}
    store.save(msgspec.structs.replace(store.load(), storage={"cookies": [], "origins": []}))
    later = later.again()
    renewed = passed(later(*wanted, login=ADMIN, logins=both.logins))
    (reason,) = reasons(renewed)
    assert reason.startswith("its check failed: the reply to GET http")
    store.save(msgspec.structs.replace(store.load(), made=1.0))
    old = msgspec.structs.replace(ADMIN, valid_seconds=600.0)
    assert reasons(passed(later.again()(*wanted, login=old, logins=both.logins))) == ["it was older than 600 s"]


def test_a_login_that_fails_fails_its_tests_and_is_tried_twice(both):
    wrong = login(SIGN_IN, {"expect": {"text": "welcome", "to": {"be": "visible"}, "within_seconds": 0.2}})
    cli, mcp = failed(both(SEES, login=wrong, evidence="on_failure"))
    for result in (cli, mcp):
        assert result.failure.message.startswith('the login "admin" failed: expected {text: "welcome"} to be visible')
        assert (result.failure.step, result.steps, result.failure.pointers) == (None, (), ("/tests/T1/steps/1",))
        assert "failure.png" in [one.path for one in result.evidence]
    for result in failed(both.again()(SEES, login=wrong, logins=both.logins)):
        assert result.failure.message.endswith("(2 times in this run, so it is not tried again)")
    assert Store(both.logins, "admin").load().failures == 2


def test_a_request_can_have_the_cookies_of_the_page(both):
    opened = page("<script>document.cookie = 'of=page'</script>")
    asked = {"GET": "${s.url}/echo", "match": {"$.cookie": "of=page"}}
    passed(both(opened, {"http": {**asked, "cookies": "from_page"}}, {"http": asked}))
