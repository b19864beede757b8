"""Python's http.client on one connection: downloads and uploads of many sizes and framings, compared with the origin's hashes."""

import hashlib
import http.client
import sys

SIZES = [0, 1, 2047, 2048, 2049, 16383, 16384, 16385, 65535, 65536, 65537, 1 << 20]


def check(what, wanted, got):
    if wanted != got:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def pieces(body):
    for start in range(0, len(body), 9_999):
        yield body[start : start + 9_999]


host, port = sys.argv[1].split(":")
connection = http.client.HTTPConnection(host, int(port), timeout=20)
connection.connect()
socket = connection.sock
for size in SIZES:
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    for framing in ("sized", "chunked"):
        connection.request("GET", f"/{framing}/{size}")
        answer = connection.getresponse()
        check(f"GET {framing} {size}", (200, body), (answer.status, answer.read()))
    digest = hashlib.sha256(body).hexdigest().encode()
    connection.request("PUT", "/upload", body=body)
    answer = connection.getresponse()
    check(f"PUT sized {size}", (200, digest), (answer.status, answer.read()))
    connection.request("POST", "/upload", body=pieces(body), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = connection.getresponse()
    check(f"POST chunked {size}", (200, digest), (answer.status, answer.read()))
check("the connection", socket, connection.sock)
print("all equal")
