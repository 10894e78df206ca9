"""A page whose buttons each make one kind of error, its server, which complains in its log, and a second server elsewhere."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PAGE = """<!doctype html><meta charset="utf-8"><title>Errors</title><link rel="icon" href="data:,">
<h1>Errors</h1><script src="/app.js"></script><p data-testid="done"></p>
<button onclick="run(thrown)">thrown</button>
<button onclick="run(said)">said</button>
<button onclick="run(missing)">missing</button>
<button onclick="run(broken)">broken</button>
<button onclick="run(asked)">asked</button>
<button onclick="run(logged)">logged</button>
<button onclick="run(quiet)">quiet</button>
<button onclick="run(thrown, quiet, said, missing, broken, asked, logged)">all</button>"""

SCRIPT = """const elsewhere = 'http://127.0.0.1:ELSEWHERE';
const thrown = () => { setTimeout(() => { throw new Error('the cart is gone'); }); };
const said = () => { console.error('no price', 7); };
const missing = async () => { await fetch('/nothing'); await fetch(elsewhere + '/refused').catch(() => 0);
  await fetch(elsewhere + '/five').then((reply) => reply.text()); };
const broken = () => fetch('/five');
const asked = () => { confirm('leave?'); };
const logged = () => fetch('/log');
const quiet = async () => { await fetch('/chunks').then((reply) => reply.text()); };
async function run(...parts) {
  for (const part of parts) await part();
  await new Promise((done) => setTimeout(done, 1));
  document.querySelector('[data-testid=done]').textContent += 'done';
}
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/chunks":  # without a length
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")
            return
        if self.path == "/refused":
            self.close_connection = True
            return
        if self.path == "/log":
            sys.stderr.write("ERROR stock: 3 rows lost\n")
            sys.stderr.flush()
        script = SCRIPT.replace("ELSEWHERE", str(other.server_port))
        files = {"/": (PAGE.encode(), "text/html"), "/app.js": (script.encode(), "text/javascript")}
        body, kind = files.get(self.path, (b"{}", "application/json"))
        self.send_response({"/five": 503, "/nothing": 404}.get(self.path, 200))
        self.send_header("content-type", kind)
        self.send_header("access-control-allow-origin", "*")  # so that the page can wait for the end of every answer
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


other = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=other.serve_forever, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
