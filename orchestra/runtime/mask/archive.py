"""Archives, packed files and what is packed in them, without the secrets of a run.

A file that cannot be searched is dropped: `Unsearched` has the reason.
"""

from __future__ import annotations

import bz2
import copy
import gzip
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self, TypeAlias

from orchestra.runtime.mask.choice import handling
from orchestra.runtime.mask.finder import Finder, Span
from orchestra.runtime.mask.stream import StreamMask

DEPTH: Final = 4
"""So many layers of packing are looked into: the tar of a `.tar.gz` is the second."""

UNPACKED_BYTES: Final = 512 << 20
"""So much a file may unpack to, all layers together."""

MEMBERS: Final = 20_000
"""So many members an archive may have, all layers together."""

HEAD_BYTES: Final = 560
_BLOCK_BYTES: Final = 1 << 20
_SPOOLED_BYTES: Final = 8 << 20

_OTHERS: Final = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"MSCF\0\0\0\0": "cab",
    b"\x1f\x9d": "compress",
    b"LZIP": "lzip",
    b"\x5d\0\0": "lzma",
}
"""Packings that this program does not read, by the bytes that they begin with."""
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
"""The heads of a bare zlib stream, as git writes its objects. They are short: the bytes that follow must fit, too."""

_GZIP, _BZIP2, _XZ, _TAR = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"ustar"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_END, _TAR_AT = b"PK\x05\x06", 257

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    struct.error,
    NotImplementedError,
    ValueError,
)


_Packed: TypeAlias = IO[bytes] | gzip.GzipFile


class _Layer(Protocol):
    """Returns a clean copy of a packed file; None when there is nothing to be taken out and not `always` one is wanted."""

    def __call__(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None: ...


class Unsearched(Exception):  # noqa: N818 - it is not an error
    """A file that cannot be searched for secrets; the text has the reason."""


def may_be_packed(data: bytes) -> bool:
    """Return whether a whole file may be packed, or have an archive at its end; False is certain."""
    return (
        data.startswith((_GZIP, _BZIP2, _XZ, *_ZIP, *_OTHERS, *_ZLIB))
        or data.startswith(_TAR, _TAR_AT)
        or _ZIP_END in data
    )


def _inflates(head: bytes) -> bool:
    """Return whether bytes are the beginning of a zlib stream."""
    try:
        return bool(zlib.decompressobj().decompress(head, 1 << 10))
    except zlib.error:
        return False


class Cleaner:
    """Takes secrets out of one file and of all that is packed in it. A context manager: its copies end with it.

    Args:
        finder: finds them.
        rename: takes them out of the name of a member.
        scratch: a private folder for what is unpacked.
    """

    def __init__(self, finder: Finder, rename: Callable[[str], str], scratch: Path) -> None:
        self._finder = finder
        self._rename = rename
        self._scratch = scratch
        self._open = ExitStack()
        self._room = UNPACKED_BYTES
        self._members = MEMBERS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def clean(self, source: IO[bytes], name: str, depth: int = 0) -> IO[bytes] | None:
        """Return a clean copy of a file, open as long as this one is; None when there is nothing to be taken out.

        A packing has places of its own for text, in its heads, between its members and after its end. Where its bytes show
        a secret, it is packed again, which leaves all of these out.

        Raises:
            Unsearched: it cannot be searched.
        """
        head = _head(source)
        layer = self._layer(source, head)
        if layer is None:
            return self._plain(source, name, head)
        if depth >= DEPTH:
            raise Unsearched(f"it has more than {DEPTH} layers of packing, the limit of the search for secrets")
        try:
            return layer(source, name, depth + 1, always=self._shows(source))
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk, not of the file
            text = str(error) or type(error).__name__
            raise Unsearched(f"it could not be unpacked to be searched for secrets: {text}") from error

    def _layer(self, source: IO[bytes], head: bytes) -> _Layer | None:
        """Return what unpacks a file; None for one that is not packed."""
        for magic, packing in _OTHERS.items():
            if head.startswith(magic):
                raise Unsearched(f"it is packed ({packing}), and cannot be searched for secrets")
        if head.startswith(_ZLIB) and _inflates(head):
            raise Unsearched("it is packed (zlib), and cannot be searched for secrets")
        if head.startswith(_GZIP):
            return self._gzip
        if head.startswith(_BZIP2) and head[4:10] == b"1AY&SY":
            return self._bzip2
        if head.startswith(_XZ):
            return self._xz
        if head[_TAR_AT:].startswith(_TAR):
            return self._tar
        if head.startswith(_ZIP):
            return self._zip
        return self._appended if zipfile.is_zipfile(source) else None

    # ---------------------------------------------------------------------------------------------------- not packed

    def _plain(self, source: IO[bytes], name: str, head: bytes) -> IO[bytes] | None:
        way = handling(name, head)
        mask = StreamMask(self._finder, choice=way.choice, same_size=way.same_size)
        source.seek(0)
        while block := source.read(_BLOCK_BYTES):
            mask.feed(block)
            if mask.count:
                break
        mask.finish()
        if not mask.count:
            return None
        target = self._spool()
        mask = StreamMask(self._finder, choice=way.choice, same_size=way.same_size)
        source.seek(0)
        while block := source.read(_BLOCK_BYTES):
            target.write(mask.feed(block))
        target.write(mask.finish())
        return _rewound(target)

    # ------------------------------------------------------------------------------------------------- one packed file

    def _gzip(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        return self._packed(gzip.open(source), lambda out: gzip.open(out, "wb"), name, depth, always=always)

    def _bzip2(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        return self._packed(bz2.BZ2File(source), lambda out: bz2.BZ2File(out, "w"), name, depth, always=always)

    def _xz(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        return self._packed(lzma.LZMAFile(source), lambda out: lzma.LZMAFile(out, "w"), name, depth, always=always)

    def _packed(
        self,
        content: _Packed,
        packed: Callable[[IO[bytes]], _Packed],
        name: str,
        depth: int,
        *,
        always: bool,
    ) -> IO[bytes] | None:
        with content, self._unpacked(content) as inner:
            clean = self.clean(inner, name.rpartition(".")[0], depth)
            if clean is None and not always:
                return None
            target = self._spool()
            with _rewound(clean or inner) as found, packed(target) as out:
                shutil.copyfileobj(found, out)
        return _rewound(target)

    # ---------------------------------------------------------------------------------------------------------- archives

    def _appended(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        """Clean a file that may have a zip archive at its end, which begins with something else: a program, for instance."""
        del always  # its own bytes are no packing, and are cleaned
        try:
            made = self._zip(source, name, depth)
        except _DAMAGED:
            made = None  # it only looks like one
        if made is not None:
            raise Unsearched("a secret is in an archive at its end, and cannot be removed")
        return self._plain(source, name, _head(source))

    def _zip(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        del name
        with zipfile.ZipFile(source) as old:
            infos, clean = old.infolist(), dict[int, IO[bytes]]()
            self._count(len(infos))
            for number, info in enumerate(infos):
                if info.flag_bits & 1:
                    raise Unsearched("it is encrypted, and cannot be searched for secrets")
                with old.open(info) as content, self._unpacked(content) as inner:
                    made = self.clean(inner, info.filename, depth)
                if made is not None:
                    clean[number] = made
            names = [self._rename(info.filename) for info in infos]
            if not (always or clean) and names == [info.filename for info in infos]:
                return None
            target = self._spool()
            with zipfile.ZipFile(target, "w") as new:
                new.comment = self._text(old.comment)
                for number, info in enumerate(infos):
                    entry = zipfile.ZipInfo(names[number], info.date_time)
                    entry.compress_type, entry.external_attr = info.compress_type, info.external_attr
                    content = clean.get(number) or old.open(info)
                    with content, new.open(entry, "w", force_zip64=info.file_size > 1 << 31) as out:
                        shutil.copyfileobj(content, out)
        return _rewound(target)

    def _tar(self, source: IO[bytes], name: str, depth: int, *, always: bool = False) -> IO[bytes] | None:
        del name
        changed, target = always, self._spool()
        with tarfile.open(fileobj=source, mode="r:") as old, tarfile.open(fileobj=target, mode="w") as new:
            for member in old:
                self._count(1)
                entry = copy.copy(member)
                entry.name, entry.linkname = self._rename(member.name), self._rename(member.linkname)
                entry.uname, entry.gname = self._rename(member.uname), self._rename(member.gname)
                entry.pax_headers = {}
                content = old.extractfile(member) if member.isreg() else None
                if content is not None:
                    inner = self._unpacked(content)
                    clean = self.clean(inner, member.name, depth)
                    changed, content = changed or clean is not None, clean or inner
                    entry.size = content.seek(0, 2)
                    content.seek(0)
                changed = changed or (entry.name, entry.linkname) != (member.name, member.linkname)
                new.addfile(entry, content)
                if content is not None:
                    content.close()
        return _rewound(target) if changed else None

    # ------------------------------------------------------------------------------------------------------------- parts

    def _shows(self, source: IO[bytes]) -> bool:
        """Return whether the bytes of a packing, as they are, show a secret."""
        mask = StreamMask(self._finder, choice=_long)
        source.seek(0)
        while not mask.count and (block := source.read(_BLOCK_BYTES)):
            mask.feed(block)
        mask.finish()
        source.seek(0)
        return bool(mask.count)

    def _text(self, text: bytes) -> bytes:
        mask = StreamMask(self._finder)
        return mask.feed(text) + mask.finish()

    def _count(self, number: int) -> None:
        self._members -= number
        if self._members < 0:
            raise Unsearched(f"it holds more than {MEMBERS:,} files, and no more are searched for secrets")

    def _unpacked(self, content: _Packed) -> IO[bytes]:
        """Return the content of a packed file, where it can be read twice."""
        target = self._spool()
        while block := content.read(_BLOCK_BYTES):
            self._room -= len(block)
            if self._room < 0:
                limit = UNPACKED_BYTES >> 20
                raise Unsearched(f"it unpacks to more than {limit} MB, the limit of the search for secrets")
            target.write(block)
        return _rewound(target)

    def _spool(self) -> IO[bytes]:
        return self._open.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED_BYTES, "w+b", dir=str(self._scratch)))


def _head(file: IO[bytes]) -> bytes:
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return head


def _rewound(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    return file


def _long(data: bytes, spans: list[Span]) -> list[Span]:
    """Choose the secrets whose bytes do not come about by chance."""
    del data
    return [span for span in spans if not span.short]
