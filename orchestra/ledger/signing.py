"""Signed seals: they reveal a record that was rewritten with a whole new chain.

The key is Ed25519, by `cryptography`, which is kept by the Python Cryptographic Authority and which the MCP client brings
along anyway. The body of the seal is signed, and with it the hash of the last event, which covers all before it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from orchestra.errors import UsageError
from orchestra.ledger.canonical import canonical

_HEAD: Final = b"orchestra seal 1\n"
_PEM: Final = "-----BEGIN"
_MAKE: Final = "make one with `openssl genpkey -algorithm ed25519`"


def signer(given: str, name: str) -> Callable[[Mapping[str, object]], dict[str, str]]:
    """Return what signs the body of a seal: it gives the fields `signed_by` and `signature`.

    Args:
        given: a private key as PEM, or its path.
        name: of the variable that gave it, for messages.

    Raises:
        UsageError: the key cannot be read, or is of another kind.
    """
    private = _private(given, name)
    by = fingerprint(private.public_key())

    def sign(body: Mapping[str, object]) -> dict[str, str]:
        named = {**body, "signed_by": by}
        return {"signed_by": by, "signature": base64.b64encode(private.sign(_HEAD + canonical(named))).decode()}

    return sign


def _private(given: str, name: str) -> Ed25519PrivateKey:
    try:
        text = given.encode() if given.lstrip().startswith(_PEM) else Path(given).read_bytes()
        found = load_pem_private_key(text, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The value is not quoted: it may be the key itself, with a letter too few.
        raise UsageError(f"{name} is neither a key nor the path of one: {_why(error)}", _MAKE) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f"{name} is a key of another kind; it must be an Ed25519 key", _MAKE)
    return found


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or "it cannot be read").lower()
    return "it has a password" if isinstance(error, TypeError) else "it is not PEM (PKCS #8)"


def public_key(file: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        UsageError: it cannot be read, or is none, or of another kind.
    """
    hint = "`openssl pkey -in KEY -pubout` prints the public half of a key"
    try:
        found = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not a public key in PEM"
        raise UsageError(f'"{file}" cannot be used to verify seals: {why}', hint) from error
    if not isinstance(found, Ed25519PublicKey):
        raise UsageError(f'"{file}" is a key of another kind; it must be an Ed25519 key', hint)
    return found


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key, 64 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def signature_fault(body: Mapping[str, Any], key: Ed25519PublicKey) -> str | None:
    """Return why the body of a seal is not signed by a key; None when it is."""
    given, name = body.get("signature"), fingerprint(key)
    if not isinstance(given, str):
        return "its seal is not signed"
    if body.get("signed_by") != name:
        return f"its seal is signed by the key {str(body.get('signed_by'))[:12]}…, and not by {name[:12]}…"
    unsigned = {field: value for field, value in body.items() if field != "signature"}
    try:
        key.verify(base64.b64decode(given), _HEAD + canonical(unsigned))
    except (InvalidSignature, ValueError):
        return f"the signature of its seal is not one by the key {name[:12]}…"
    return None
