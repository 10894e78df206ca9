"""The certificates that a suite trusts on top of the usual ones: `tls.ca_file` of its spec."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from orchestra.errors import UsageError

_MOST_BYTES = 1 << 22
_MARK = "-----BEGIN CERTIFICATE-----"
_MISSING = "write the certificate of the authority there, before the servers that use it are asked"


class CertificateError(UsageError):
    """The file of certificates cannot be used."""


def read(root: Path, path: str) -> str:
    """Return the certificates of a file in the project, in PEM.

    Raises:
        CertificateError: it cannot be read, is outside of the project, or holds no certificate.
    """
    real = Path(os.path.realpath(root / path))
    if not real.is_relative_to(os.path.realpath(root)):
        raise CertificateError(
            f'the ca_file "{path}" is outside the project root, at {real}', "copy it into the project"
        )
    try:
        with real.open("rb") as stream:
            text = stream.read(_MOST_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        raise CertificateError(f'the ca_file "{path}" cannot be read: {error.strerror}', _MISSING) from error
    if _MARK not in text:
        raise CertificateError(f'the ca_file "{path}" holds no certificate in PEM', f"it must have a line {_MARK}")
    return text


def add(context: ssl.SSLContext, root: Path, path: str) -> ssl.SSLContext:
    """Let a context trust the certificates of a file as well.

    Raises:
        CertificateError: as `read`, or a certificate is damaged.
    """
    try:
        context.load_verify_locations(cadata=read(root, path))
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(
            f'the ca_file "{path}" holds a damaged certificate: {error}', "write it again"
        ) from error
    return context
