"""mixture.js for peers in Python: what a client calls and a server answers, each a function of the call's number."""

import json
import sys
import threading
import time

DEPTH = 32
PATIENCE_S = 20
REQUEST = 1
ANSWER = 2
WORD = 0xFFFFFFFF


def draw(number, salt, bound):
    """A number below `bound` that depends on `number` and `salt` only."""
    x = ((number ^ ((salt * 0x9E3779B9) & WORD)) * 0x85EBCA6B) & WORD
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & WORD
    return (x ^ (x >> 16)) % bound


def size(number, salt, largest=8 * 1024 * 1024):
    """How many bytes go one way."""
    if number % 20_000 == 100 * salt:
        wanted = 8 * 1024 * 1024 - draw(number, salt, 3)
    elif number % 2000 == 25 * salt:
        wanted = 1_000_000 + draw(number, salt, 100_000)
    elif number % 40 == 3 * salt:
        wanted = 65_000 + draw(number, salt, 1000)
    else:
        wanted = draw(number, salt, 2000)
    return min(wanted, largest)


def kind(number):
    """What is done with a call: echo, fail, slow (an echo that takes a while) or oneWay."""
    if number % 16 == 5:
        return "oneWay"
    if number % 16 == 9:
        return "fail"
    return "slow" if number % 64 == 15 else "echo"


def body(number, salt, length=None):
    """The bytes of one direction: its own for every call."""
    word = number.to_bytes(4, "big") + draw(number, salt + 7, WORD).to_bytes(4, "big")
    length = size(number, salt) if length is None else length
    return (word * (length // 8 + 1))[:length]


class Refused(Exception):
    """What a failing call fails with."""


class Service:
    """What a server does."""

    def __init__(self):
        self.seen = set()
        self.total = 0
        self.lock = threading.Lock()

    def serve(self, number, request):
        """The answer's body; raises if the call is one that fails."""
        with self.lock:
            self.total += 1
            self.seen.add(number)
        if request != body(number, REQUEST):
            raise Refused(f"the request {number} is not the one that was sent")
        what = kind(number)
        if what == "fail":
            raise Refused(f"refused {number}")
        if what == "slow":
            time.sleep((20 + draw(number, 3, 200)) / 1000)
        return body(number, ANSWER)

    def tally(self):
        """How many different calls came, and how many in all."""
        with self.lock:
            return f"{len(self.seen)} {self.total}"


def listening(port):
    """What a server says when it listens."""
    print(f"listening 127.0.0.1:{port}", file=sys.stderr, flush=True)


def check(number, peer, wrong):
    """Makes one call; tells what is wrong with its outcome."""
    what = kind(number)
    try:
        if what == "oneWay" and peer.has_one_way:
            return peer.one_way(number)
        answer_is_right = peer.call(number)
    except Refused as refused:
        if what != "fail" or f"refused {number}" not in str(refused):
            wrong.append(f"call {number} ({what}): {refused}"[:300])
        return None
    if what == "fail":
        wrong.append(f"call {number} should have failed")
    elif not answer_is_right:
        wrong.append(f"call {number} ({what}): another answer than expected")
    return None


def run(connect, calls):
    """Makes `calls` calls, DEPTH at a time, each thread with a peer of its own; ends the process.

    A peer has `call(number)` (whether the answer was right; raises Refused with the server's words), `one_way(number)`,
    `has_one_way` and `tally()`.
    """
    wrong = []
    numbers = iter(range(calls))
    lock = threading.Lock()
    began = time.time()

    def loop():
        try:
            peer = connect()
            while len(wrong) < 20:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                check(number, peer, wrong)
        except Exception as error:
            wrong.append(f"a thread ended: {error!r}"[:300])

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(DEPTH)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One-way calls may still be on their way.
    peer, deadline, all_of_them = connect(), time.time() + PATIENCE_S, f"{calls} {calls}"
    tally = peer.tally()
    while tally != all_of_them and time.time() < deadline:
        time.sleep(0.02)
        tally = peer.tally()
    if tally != all_of_them:
        wrong.append(f"the server saw (different, all): {tally}")
    counts = {}
    for number in range(calls):
        counts[kind(number)] = counts.get(kind(number), 0) + 1
    summary = f"{calls} calls in {time.time() - began:.1f} s, {json.dumps(counts)}"
    print(f"WRONG: {summary}\n" + "\n".join(wrong) if wrong else f"all right: {summary}", flush=True)
    sys.exit(1 if wrong else 0)
