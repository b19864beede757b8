"""The client of dubbo-ssl-python from PyPI: `dubbo_calls.py client HOST:PORT CALLS`; `sofa.js dubbo server` answers.

All threads share its one connection. It writes every value byte by byte, and no byte arrays, so bodies are short and go as text.
"""

import logging
import sys

import mixture
from mixture import ANSWER, REQUEST, Refused, body, kind, size

logging.disable(logging.CRITICAL)

# It imports nothing before that, because it logs as it is imported.
from dubbo_ssl.client import DubboClient  # noqa: E402
from dubbo_ssl.common.exceptions import DubboResponseException  # noqa: E402

TIMEOUT_S = 60
# It cannot read strings of more than one chunk, 32768 characters.
LARGEST = 15_000


def text(number, salt):
    return body(number, salt, min(size(number, salt), LARGEST)).hex()


class Peer:
    # It cannot write one-way calls; those are answered like others.
    has_one_way = False

    def __init__(self, address):
        self.client = DubboClient("com.sidering.test.MixtureService", "g1", version="1.0", host=address)

    def call(self, number):
        try:
            answer = self.client.call("mixText", [number, text(number, REQUEST)], timeout=TIMEOUT_S)
        except DubboResponseException as error:
            raise Refused(str(error)) from None
        expected = b"nobody waits".hex() if kind(number) == "oneWay" else text(number, ANSWER)
        return answer == "x" + expected

    def tally(self):
        return self.client.call("tally", [], timeout=TIMEOUT_S)


peers = {}


def connect():
    return peers.setdefault("one", Peer(sys.argv[2]))


mixture.run(connect, int(sys.argv[3]))
