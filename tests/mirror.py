"""A local web server in place of those that publish data sets."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ["wrong", "truncated", "not found", "dropped", "silent"]


class Mirror(ThreadingHTTPServer):
    """A local mirror of files, which can misbehave in the way that `fault` names."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        self.fault = ""
        self.faulty_names = set(files)
        self.asked: list[str] = []
        self.closing = threading.Event()

    def break_down(self, fault: str, *names: str) -> None:
        """Misbehave from now on, for some of the files or for all."""
        self.fault = fault
        self.faulty_names = set(names or self.files)


class Answer(BaseHTTPRequestHandler):
    """One answer of a Mirror."""

    server: Mirror

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        fault = self.server.fault if name in self.server.faulty_names else ""
        body = self.server.files[name]
        if fault == "dropped":
            return
        if fault == "silent":
            self.server.closing.wait(10)
            return
        if fault == "not found":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "truncated":
            body = body[:-10]
        elif fault == "wrong":
            body = bytes(reversed(body))
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serving(*files: Mapping[str, bytes]) -> Iterator[list[Mirror]]:
    """Run a mirror for each collection of files."""
    servers = [Mirror(each) for each in files]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield servers
    for server in servers:
        server.closing.set()
        server.shutdown()
        server.server_close()
