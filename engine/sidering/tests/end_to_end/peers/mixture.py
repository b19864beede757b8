"""Random pipelined exchanges whose answers are a function of the request, so that any mix-up shows.

`mixture.py origin` serves; `mixture.py client HOST:PORT SEED` asks. Both cut what they send at random places, and use every
framing there is.
"""

import hashlib
import random
import socket
import sys
import threading

CLIENTS = 10
ROUNDS = 3


def expected(path, body):
    """The answer to a request: as many bytes as the path says, made of the request's hash."""
    length = max(int(path.split(b"/")[1]), 64)
    digest = hashlib.sha256(path + body).hexdigest().encode()
    return (digest * (length // 64 + 1))[:length]


def chunked(body, dice):
    out, at = b"", 0
    while at < len(body):
        piece = body[at : at + dice.choice([1000, 16_384, 70_000])]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
        at += len(piece)
    return out + b"0\r\n\r\n"


def framed(start, body, dice):
    """A message with its body in one of two framings."""
    if dice.random() < 0.5:
        return start + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    return start + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, dice)


def send_cut(connection, data, dice):
    at = 0
    while at < len(data):
        size = dice.choice([7, 500, 20_000, 200_000]) if dice.random() < 0.2 else dice.choice([20_000, 200_000])
        connection.sendall(data[at : at + size])
        at += size


def read_fields(file):
    fields = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, value = line.split(b":", 1)
        fields[name.lower()] = value.strip()
    return fields


def read_body(file, fields):
    if b"content-length" in fields:
        return file.read(int(fields[b"content-length"]))
    body = b""
    if b"transfer-encoding" in fields:
        while size := int(file.readline(), 16):
            body += file.read(size)
            assert file.readline() == b"\r\n"
        assert file.readline() == b"\r\n"
    return body


def serve(connection):
    dice = random.Random()
    file = connection.makefile("rb")
    while line := file.readline():
        method, path, _ = line.split()
        answer = expected(path, read_body(file, read_fields(file)))
        start = b"HTTP/1.1 200 OK\r\n"
        if method == b"HEAD":
            send_cut(connection, start + b"Content-Length: %d\r\n\r\n" % len(answer), dice)
        elif dice.random() < 0.25:
            send_cut(connection, start + b"Connection: close\r\n\r\n" + answer, dice)
            connection.shutdown(socket.SHUT_RDWR)
            return
        else:
            send_cut(connection, framed(start, answer, dice), dice)


def one_request(path, dice):
    """The bytes of a request, and what to expect: whether it is a HEAD, and the answer."""
    line = b" %s HTTP/1.1\r\nHost: a\r\n" % path
    method = dice.choice([b"GET", b"HEAD", b"POST", b"PUT"])
    if method in (b"GET", b"HEAD"):
        return method + line + b"\r\n", (method == b"HEAD", expected(path, b""))
    body = dice.randbytes(dice.choice([0, 1, 500, 2048, 5000, 16_384, 65_536, 300_000]))
    return framed(method + line, body, dice), (False, expected(path, body))


def ask(address, seed, number, failures):
    dice = random.Random(seed * 1000 + number)
    connection = socket.create_connection(address, timeout=20)
    exchanges = []
    for index in range(dice.randrange(1, 25)):
        path = b"/%d/%d/%d" % (dice.choice([0, 100, 3000, 20_000, 400_000]), number, index)
        exchanges.append(one_request(path, dice))
    data = b"".join(request for request, _ in exchanges)
    ends_its_side = dice.random() < 0.3

    def send():
        send_cut(connection, data, dice)
        if ends_its_side:
            connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    file = connection.makefile("rb")
    for index, (_, (is_head, answer)) in enumerate(exchanges):
        status = file.readline()
        fields = read_fields(file)
        got = b"" if is_head else read_body(file, fields)
        if b" 200 " not in status or got != (b"" if is_head else answer):
            failures.append(f"client {number}, request {index} of {len(exchanges)}: {status} {fields} {len(got)} bytes")
            return
    sender.join()


def ask_safely(address, seed, number, failures):
    try:
        ask(address, seed, number, failures)
    except (OSError, ValueError, AssertionError) as error:
        failures.append(f"client {number}: {error!r}")


def main():
    if sys.argv[1] == "origin":
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        print("listening 127.0.0.1:%d" % listener.getsockname()[1], file=sys.stderr, flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    host, port = sys.argv[2].split(":")
    failures = []
    for start in range(0, CLIENTS * ROUNDS, CLIENTS):
        threads = [
            threading.Thread(target=ask_safely, args=((host, int(port)), int(sys.argv[3]), start + number, failures))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("\n".join(failures) or "all equal")
    sys.exit(1 if failures else 0)


main()
