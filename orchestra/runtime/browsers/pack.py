"""Unpack the Chromium that the npm package `@sparticuz/chromium` carries.

The package holds brotli files. Python has no brotli, so the Node inside the Playwright wheel inflates them. The package
also has libraries and a font, for machines without them.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

_INFLATE = (
    "const z=require('zlib'),fs=require('fs'),{pipeline}=require('stream');"
    "pipeline(fs.createReadStream(process.argv[1]),z.createBrotliDecompress(),fs.createWriteStream(process.argv[2]),"
    "e=>{if(e){console.error(String(e));process.exit(1)}})"
)
_ARCHIVES = ("fonts.tar.br", "swiftshader.tar.br")
_LIBRARIES = "al2023.tar.br"

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <dir>/usr/share/fonts</dir>
  <dir>/usr/local/share/fonts</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


def unpack(package: Path, target: Path, node: Path) -> None:
    """Unpack into the folder `target`, all or nothing; does nothing when it is there.

    Args:
        package: the folder of the npm package.
        target: the folder that will hold the program `chromium`, its libraries and fonts.
        node: a Node, to inflate brotli.

    Raises:
        OSError: a file is missing, or the disk refuses.
        subprocess.CalledProcessError: a file is damaged.
        tarfile.TarError: an archive is damaged.
    """
    if (target / "chromium").exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        _inflate(node, package / "bin" / "chromium.br", tree / "chromium")
        (tree / "chromium").chmod(0o755)
        for name in _ARCHIVES:
            _extract(node, package / "bin" / name, tree, Path(scratch))
        if (package / "bin" / _LIBRARIES).exists():
            _extract(node, package / "bin" / _LIBRARIES, tree, Path(scratch))
        text = _FONTS.format(
            fonts=html.escape(str(target / "fonts"), quote=False),
            cache=html.escape(str(target / "font-cache"), quote=False),
        )
        (tree / "fonts.conf").write_text(text, encoding="utf-8")
        try:
            tree.rename(target)
        except OSError:  # another process was quicker; what it put there is the same
            if not (target / "chromium").exists():
                shutil.rmtree(target, ignore_errors=True)
                tree.rename(target)


def environment(target: Path, library_path: str) -> tuple[tuple[str, str], ...]:
    """Return the variables that the unpacked program needs; `library_path` is the LD_LIBRARY_PATH that is set already."""
    libraries = os.pathsep.join(filter(None, (str(target / "lib"), str(target), library_path)))
    return (("FONTCONFIG_FILE", str(target / "fonts.conf")), ("LD_LIBRARY_PATH", libraries))


def _inflate(node: Path, source: Path, target: Path) -> None:
    subprocess.run(
        [node, "-e", _INFLATE, source, target], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def _extract(node: Path, source: Path, tree: Path, scratch: Path) -> None:
    plain = scratch / "archive.tar"
    _inflate(node, source, plain)
    with tarfile.open(plain) as archive:
        # Python 3.11.0 to 3.11.3 has no filters; what npm installed is trusted as code anyhow.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(tree)  # noqa: S202 - filtered above
