"""A server of answers without measure, and the memory of a run while it meets them."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

SERVER = '''"""server.py PORT: pages and answers without measure."""
import gzip, http.server, sys, time, zlib

HOME = "<h1>Home</h1><a href=/endless download>endless</a> <a href=/slow download>slow</a>"
LOUD = "<button onclick=\\"for (let i = 0; i < N; i++) console.error('line ' + i); done.textContent = 'done'\\">Go</button><p id=done></p>"
LONG = "<button onclick=\\"console.error('x'.repeat(N)); done.textContent = 'done'\\">Go</button><p id=done></p>"

def bomb(times):
    packer, data = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(1 << 20)
    out = b"".join(packer.compress(data) for _ in range(128)) + packer.flush()
    return out if times == 1 else gzip.compress(out)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, number = self.path.partition("?")
        if path == "/bomb":
            self.whole(bomb(int(number)), ("content-encoding", ", ".join(["gzip"] * int(number))))
        elif path == "/codings":
            self.whole(b"", ("content-encoding", ", ".join(["gzip"] * 4)))
        elif path == "/touch":
            open(number, "w").close()
            self.whole(b"")
        elif path == "/deep":
            self.whole(b"[" * 200_000)
        elif path == "/wide":
            self.whole(b"[" * 60 + b"1" + (b"]" + b", 2" * 100) * 59 + b"]")
        elif path == "/head":
            self.drip(b"HTTP/1.1 200 OK\\r\\nx-a: ", b"a", 0.1)
        elif path in ("/endless", "/slow"):
            head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/octet-stream\\r\\n\\r\\n"
            self.drip(head, *((bytes(1 << 20), 0) if path == "/endless" else (bytes(100), 0.1)))
        else:
            self.whole({"/loud": LOUD, "/long": LONG}.get(path, HOME).replace("N", number or "1").encode())
    def whole(self, body, *heads):
        self.send_response(200)
        for head in (("content-type", "text/html"), ("content-length", str(len(body))), *heads):
            self.send_header(*head)
        self.end_headers()
        self.wfile.write(body)
    def drip(self, head, piece, pause):
        self.close_connection = True
        try:
            self.wfile.write(head)
            while True:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            return
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''


class Peak:
    """The most memory that a process itself has held, in megabytes, while it is watched; 0 where the system does not say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.megabytes = 0
        self._status = Path(f"/proc/{process.pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", self._status.read_text())
            except OSError:
                return
            if found is not None:
                self.megabytes = max(self.megabytes, int(found[1]) // 1024)

    def close(self) -> int:
        """The number, once the process has ended."""
        self._ended.set()
        self._thread.join()
        return self.megabytes
