"""An HTTP/1.1 upstream whose connections can vanish: no FIN, no RST, as if its machine had lost its power.

Says its port on standard error. SIGUSR1 lets the connections there are vanish, whose number it then says. A socket under
TCP_REPAIR is closed without a word, which takes CAP_NET_ADMIN.
"""

import selectors
import signal
import socket
import sys

TCP_REPAIR = 19


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    selector = selectors.DefaultSelector()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    selector.register(listener, selectors.EVENT_READ)
    conns = []

    def vanish(*_):
        gone, conns[:] = list(conns), []
        for conn in gone:
            conn.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            selector.unregister(conn)
            conn.close()
        say(f"vanished {len(gone)}")

    signal.signal(signal.SIGUSR1, vanish)
    say(f"port {listener.getsockname()[1]}")
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                conn, _ = listener.accept()
                conns.append(conn)
                selector.register(conn, selectors.EVENT_READ)
            elif conn_data := key.fileobj.recv(65536):
                # Its requests are small, and come one by one.
                assert conn_data.endswith(b"\r\n\r\n"), conn_data
                key.fileobj.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                conns.remove(key.fileobj)
                selector.unregister(key.fileobj)
                key.fileobj.close()


main()
