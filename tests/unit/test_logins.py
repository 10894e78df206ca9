"""The states of logins: their files, their secrets, and their cookies in both forms."""

from __future__ import annotations

import stat
import threading
from http.cookiejar import CookieJar
from urllib.request import Request

import pytest

from orchestra.plan import Login, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.build import Builds
from orchestra.runtime.driver.cookies import cookie_of, written
from orchestra.runtime.logins import FOLDER, Shown, State, Store, secrets_of
from orchestra.runtime.mask import Masks

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


def cookie(value, **more):
    return {"name": "sid", "value": value, "domain": "shop.example", "path": "/", **more}


@pytest.mark.parametrize(
    "storage, saved, secret",
    [
        ({"cookies": [cookie("s3ss10n-0f-adm1n")]}, {}, ["s3ss10n-0f-adm1n"]),
        ({"cookies": [cookie("s3ss10n8", httpOnly=True), cookie("s3ss10n8")]}, {}, ["s3ss10n8"]),
        ({"cookies": [cookie("dark"), cookie("de-DE", httpOnly=True)]}, {}, []),
        (
            {"origins": [{"origin": "http://127.0.0.1:80800", "localStorage": [{"name": "a", "value": TOKEN}]}]},
            {},
            [TOKEN],
        ),
        (
            {"origins": [{"localStorage": [{"name": "a", "value": f'{{"user": "ana", "keys": ["{TOKEN}", 1]}}'}]}]},
            {},
            [TOKEN],
        ),
        ({}, {"token": TOKEN, "at": "2026-11-29T17:21:00+00:00", "text": "a text of 5 words"}, [TOKEN]),
        ({}, {"url": "https://shop.example/order/12345", "broken": "[5 is no JSON here]", "long": "a1" * 10_000}, []),
    ],
)
def test_tokens_are_secret_and_settings_are_not(storage, saved, secret):
    assert list(secrets_of(storage, saved)) == secret


def test_a_state_is_the_users_alone_and_gone_at_the_end(tmp_path):
    masks = Masks(["KEY"], {"KEY": "an-0ther-s3cret"}, growing=True)
    early = masks.stream()
    shown = Shown(tmp_path, [Login("admin")], masks)
    store = Store(tmp_path / FOLDER, "admin")
    assert store.load() == State()
    shown.learn()
    store.save(State(1.0, {"cookies": [cookie(TOKEN)]}, {"a": [1]}, (TOKEN,)))
    assert stat.S_IMODE((tmp_path / FOLDER / "admin.json").stat().st_mode) == 0o600
    assert store.load().cookies == [cookie(TOKEN)]
    shown.learn()
    shown.learn()
    assert masks.text(f"{TOKEN} an-0ther-s3cret") == "***login admin*** ***KEY***"
    assert early.feed(f"{TOKEN}\n".encode()) == b"***login admin***\n"
    shown.close()
    assert not (tmp_path / FOLDER).exists()


def test_a_run_without_logins_has_no_folder_for_them(tmp_path):
    shown = Shown(tmp_path, [], Masks((), {}))
    shown.learn()
    shown.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="do not grow"):
        Masks((), {}).learn("login admin", [TOKEN])


def test_one_holds_the_lock_and_others_wait_for_it(tmp_path):
    store, order = Store(tmp_path, "admin"), []

    def second():
        with Store(tmp_path, "admin").locked(600.0) as held:
            order.append(held)

    with store.locked(600.0) as held:
        assert held
        with Store(tmp_path, "admin").locked(0.0) as too_late:
            assert not too_late
        waiting = threading.Thread(target=second)
        waiting.start()
        assert order == []
    waiting.join()
    assert order == [True]


@pytest.mark.parametrize("url", ["http://localhost:8000/a", "http://127.0.0.1/a", "https://shop.example/a"])
def test_a_cookie_of_a_browser_goes_with_a_request(url):
    host = Request(url).host.partition(":")[0]
    given = {
        **cookie(TOKEN),
        "domain": host,
        "expires": 4e9,
        "httpOnly": True,
        "secure": url.startswith("https"),
        "sameSite": "Lax",
    }
    jar = CookieJar()
    jar.set_cookie(cookie_of(given))
    request = Request(url)
    jar.add_cookie_header(request)
    assert request.get_header("Cookie") == f"sid={TOKEN}"
    assert written(next(iter(jar))) == given
    session = cookie_of(cookie("x", expires=-1))
    assert (session.expires, session.discard, written(session)["expires"]) == (None, True, -1)


def test_the_digest_of_a_test_covers_its_login(tmp_path):
    test = Case("T", "T", ("cli",), login="admin")
    plans = [Plan("s", "S", (test,), (), logins=(Login("admin", valid_seconds=age),)) for age in (1.0, 1.0, 2.0)]
    first, same, other = (Builds(tmp_path, plan).inputs_digest(test) for plan in plans)
    assert first == same != other
