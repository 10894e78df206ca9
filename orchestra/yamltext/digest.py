"""Read files of the project and compute their digest, which a plan and its reports compare."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestra import nofollow
from orchestra.outputs import unix


def digest_files(root: Path, paths: Sequence[str]) -> str:
    """`sha256:` and the hex digest of these files, each framed by path and length, with CRLF read as LF.

    Raises:
        OSError: when one of them cannot be read.
    """
    return digest_texts((path, read_inside(root, path)) for path in paths)


def read_inside(root: Path, path: str) -> bytes:
    """Return the content of a file of the project. A link may lead to it, but not out of the project.

    Args:
        root: the project root.
        path: relative to it; a plan can hold any.

    Raises:
        OSError: it cannot be read, is no regular file, or lies outside.
    """
    real = Path(os.path.realpath(root / path.replace("\0", "?")))
    if not real.is_relative_to(root.resolve()):
        raise OSError(errno.EINVAL, "it is outside the project", path)
    return nofollow.read(real)


def digest_texts(files: Iterable[tuple[str, bytes]]) -> str:
    """Return the digest of `digest_files` over (path, bytes) pairs that are already read."""
    digest = hashlib.sha256()
    for path, raw in files:
        text = unix(raw)
        name = path.encode()
        digest.update(b"%d %d\n" % (len(name), len(text)) + name)
        digest.update(text)
    return "sha256:" + digest.hexdigest()
