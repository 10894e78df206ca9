"""Cookies of a browser for requests without one, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import Cookie
from typing import Any

_LOCAL = ".local"
"""`http.cookiejar` adds it to the name of a host without a dot, such as `localhost`."""


def cookie_of(written: Mapping[str, Any]) -> Cookie:
    """Return the cookie of a jar for one in Playwright's form."""
    domain, expires = str(written["domain"]), float(written.get("expires", -1))
    return Cookie(
        version=0,
        name=written["name"],
        value=written["value"],
        port=None,
        port_specified=False,
        domain=domain if "." in domain else f"{domain}{_LOCAL}",
        domain_specified=domain.startswith("."),
        domain_initial_dot=domain.startswith("."),
        path=written.get("path", "/"),
        path_specified=True,
        secure=bool(written.get("secure")),
        expires=int(expires) if expires >= 0 else None,
        discard=expires < 0,
        comment=None,
        comment_url=None,
        rest={"HttpOnly": ""} if written.get("httpOnly") else {},
    )


def written(cookie: Cookie) -> dict[str, Any]:
    """Return a cookie of a jar in Playwright's form."""
    host = cookie.domain.removesuffix(_LOCAL)
    return {
        "name": cookie.name,
        "value": cookie.value or "",
        "domain": cookie.domain if "." in host else host,
        "path": cookie.path,
        "expires": -1 if cookie.expires is None else cookie.expires,
        "httpOnly": cookie.has_nonstandard_attr("HttpOnly") or cookie.has_nonstandard_attr("httponly"),
        "secure": bool(cookie.secure),
        "sameSite": "Lax",
    }
