"""An HTTP/1.1 server on Python's http.server: serves bytes, takes uploads and tells their hash."""

import hashlib
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pieces(self):
        """The request's body, in either framing."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                raise ConnectionError("the body ended early")
            left -= len(piece)
            yield piece

    def do_PUT(self):
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT

    def do_GET(self):
        """/chunked/N and /sized/N: N bytes that count up."""
        _, framing, length = self.path.split("/")
        body = bytes(range(251)) * (int(length) // 251 + 1)
        body = body[: int(length)]
        self.send_response(200)
        if framing == "sized":
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 70_000):
            piece = body[start : start + 70_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening 127.0.0.1:%d" % server.server_address[1], file=sys.stderr, flush=True)
server.serve_forever()
