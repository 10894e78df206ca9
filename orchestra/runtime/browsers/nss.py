"""A certificate store of NSS, from which Chromium on Linux reads the authorities that a user has added.

Chromium looks in `~/.pki/nssdb`, and nowhere else without root: so it gets a home folder of its own with such a store, the
SQLite database `cert9.db`. It is written here, because NSS's own program for it (`certutil`) is on few machines. Chromium
checks names, dates and chains as of any other authority.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from orchestra.runtime.certificates import CertificateError, read

_COLUMNS = (
    "a0 a1 a2 a3 a10 a11 a12 a80 a81 a82 a83 a84 a85 a86 a87 a88 a89 a8a a8b a90 a100 a101 a102 a103 a104 a105 a106 a107"
    " a108 a109 a10a a10b a10c a110 a111 a120 a121 a122 a123 a124 a125 a126 a127 a128 a129 a130 a131 a132 a133 a134 a160"
    " a161 a162 a163 a164 a165 a166 a170 a180 a181 a200 a201 a202 a210 a300 a301 a302 a400 a401 a402 a403 a404 a405 a406"
    " a480 a481 a482 a500 a501 a502 a503 a40000211 a40000212 a80000001 ace534351 ace534352 ace534353 ace534354 ace534355"
    " ace534356 ace534357 ace534358 ace534364 ace534365 ace534366 ace534367 ace534368 ace534369 ace534373 ace534374"
    " ace536351 ace536352 ace536353 ace536354 ace536355 ace536356 ace536357 ace536358 ace536359 ace53635a ace53635b"
    " ace53635c ace53635d ace53635e ace53635f ace536360 ace5363b4 ace5363b5 ad5a0db00"
)
"""The attributes of an object, as NSS names their columns: `a` and the number of PKCS #11, hexadecimal."""

_YES, _NO, _NULL = b"\1", b"\0", b"\xa5\0\x5a"
_CERTIFICATE, _TRUST = b"\0\0\0\1", b"\xce\x53\x43\x53"
_AUTHORITY, _VERIFIED = b"\xce\x53\x43\x52", b"\xce\x53\x43\x53"
"""How far a certificate is trusted: as an authority, or only if another one vouches for it."""


def browser_environment(environment: Mapping[str, str], folder: Path, root: Path, path: str) -> dict[str, str]:
    """Return the environment in which Chromium trusts the certificates of a file, with a home in `folder`.

    Fonts, settings and the display stay those of the user.

    Raises:
        CertificateError: the file cannot be used.
        OSError: the folder refuses.
    """
    try:
        certificates = x509.load_pem_x509_certificates(read(root, path).encode())
    except ValueError as error:
        raise CertificateError(
            f'the ca_file "{path}" holds a damaged certificate: {error}', "write it again"
        ) from error
    _write_store(folder / ".pki/nssdb", certificates)
    home = Path(environment.get("HOME") or folder)
    kept = {
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XAUTHORITY": str(home / ".Xauthority"),
    }
    return {**kept, **environment, "HOME": str(folder)}


def _write_store(folder: Path, certificates: Iterable[x509.Certificate]) -> None:
    """Write a certificate store of NSS whose authorities are these."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "cert9.db"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as store, store:
        columns = ", ".join(_COLUMNS.split())
        store.execute(f"CREATE TABLE nssPublic (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, {columns})")
        for name, column in (("issuer", "a81"), ("subject", "a101"), ("label", "a3"), ("ckaid", "a102")):
            store.execute(f"CREATE INDEX {name} ON nssPublic ({column})")
        rows = (row for certificate in certificates for row in _objects(certificate))
        for number, row in enumerate(rows, start=1):
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            store.execute(f"INSERT INTO nssPublic (id, {names}) VALUES (?, {marks})", (number, *row.values()))  # noqa: S608 - our own names


def _objects(certificate: x509.Certificate) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the two objects of an authority: its certificate, and how far it is trusted."""
    value = certificate.public_bytes(Encoding.DER)
    issuer, subject = certificate.issuer.public_bytes(), certificate.subject.public_bytes()
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=False)
    common = {"a1": _YES, "a2": _NO, "a81": issuer, "a82": bytes((2, len(serial))) + serial, "a170": _YES}
    sha1 = hashlib.sha1(value, usedforsecurity=False).digest()
    one = {
        "a0": _CERTIFICATE,
        "a3": b"orchestra",
        "a11": value,
        "a80": b"\0\0\0\0",
        "a101": subject,
        "a102": sha1,
        **common,
    }
    trust = {
        "a0": _TRUST,
        "a3": _NULL,
        "ace536358": _AUTHORITY,  # of servers
        "ace536359": _VERIFIED,
        "ace53635a": _VERIFIED,
        "ace53635b": _VERIFIED,
        "ace536360": _NO,
        "ace5363b4": sha1,
        "ace5363b5": hashlib.md5(value, usedforsecurity=False).digest(),
        **common,
    }
    return one, trust
