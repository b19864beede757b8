"""Thrift's servers and clients from PyPI: `thrift_calls.py LIBRARY server`, `thrift_calls.py LIBRARY client HOST:PORT CALLS`.

LIBRARY: thriftpy2-binary, thriftpy2-compact (framed), thrift-binary, thrift-compact (Apache's own, framed), thrift-header
(Apache's THeader).
"""

import pathlib
import socket
import sys

import mixture
from mixture import ANSWER, REQUEST, Refused, body

TIMEOUT_MS = 60_000


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class WithThriftpy2:
    """thriftpy2, which reads the interface as it is."""

    def __init__(self, protocol):
        import thriftpy2
        from thriftpy2.protocol import TBinaryProtocolFactory, TCompactProtocolFactory
        from thriftpy2.transport import TFramedTransportFactory

        self.interface = thriftpy2.load(str(pathlib.Path(__file__).with_name("mixture.thrift")), module_name="mixture_thrift")
        self.transport = TFramedTransportFactory()
        self.protocol = TBinaryProtocolFactory() if protocol == "binary" else TCompactProtocolFactory()

    def serve(self, service):
        from thriftpy2.server import TThreadedServer
        from thriftpy2.thrift import TProcessor
        from thriftpy2.transport import TServerSocket

        interface = self.interface

        class Handler:
            def mix(self, number, request):
                try:
                    return service.serve(number, request)
                except Refused as refused:
                    raise interface.Refused(message=str(refused)) from None

            def mix_one_way(self, number, request):
                service.serve(number, request)

            def tally(self):
                return service.tally()

        port = free_port()
        listener = TServerSocket(host="127.0.0.1", port=port, client_timeout=None, backlog=128)
        server = TThreadedServer(
            TProcessor(interface.Mixture, Handler()),
            listener,
            itrans_factory=self.transport,
            iprot_factory=self.protocol,
        )
        server.daemon = True
        listener.listen()
        mixture.listening(port)
        server.serve()

    def connect(self, host, port):
        from thriftpy2.rpc import make_client

        interface = self.interface
        client = make_client(
            interface.Mixture,
            host,
            port,
            proto_factory=self.protocol,
            trans_factory=self.transport,
            timeout=TIMEOUT_MS,
        )

        class Peer:
            has_one_way = True

            def call(self, number):
                try:
                    return client.mix(number, body(number, REQUEST)) == body(number, ANSWER)
                except interface.Refused as refused:
                    raise Refused(refused.message) from None

            def one_way(self, number):
                client.mix_one_way(number, body(number, REQUEST))

            def tally(self):
                return client.tally()

        return Peer()


class WithApache:
    """Apache's library, whose generator writes what is written by hand here."""

    def __init__(self, protocol):
        from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol
        from thrift.transport import TTransport

        # The header's transport does the framing itself.
        self.transport, self.protocol = {
            "binary": (TTransport.TFramedTransportFactory(), TBinaryProtocol.TBinaryProtocolAcceleratedFactory()),
            "compact": (TTransport.TFramedTransportFactory(), TCompactProtocol.TCompactProtocolAcceleratedFactory()),
            "header": (TTransport.TTransportFactoryBase(), THeaderProtocol.THeaderProtocolFactory()),
        }[protocol]

    def serve(self, service):
        from thrift.server.TServer import TThreadedServer
        from thrift.transport.TSocket import TServerSocket

        port = free_port()
        listener = TServerSocket(host="127.0.0.1", port=port)
        listener.setBacklog(128)
        listener.listen()
        listener.listen = lambda: None
        mixture.listening(port)
        header = type(self.protocol).__name__.startswith("THeader")
        arguments = (self.transport, self.protocol) if header else (self.transport, self.transport, self.protocol, self.protocol)
        TThreadedServer(Processor(service), listener, *arguments, daemon=True).serve()

    def connect(self, host, port):
        from thrift.transport.TSocket import TSocket

        sock = TSocket(host, port)
        sock.setTimeout(TIMEOUT_MS)
        transport = self.transport.getTransport(sock)
        peer = ApachePeer(self.protocol.getProtocol(transport))
        transport.open()
        return peer


def read_struct(protocol, readers):
    """The fields of a struct by number; `readers` names the method for each of them."""
    from thrift.Thrift import TType

    fields = {}
    protocol.readStructBegin()
    while True:
        _, kind, number = protocol.readFieldBegin()
        if kind == TType.STOP:
            break
        if number in readers:
            fields[number] = readers[number](protocol)
        else:
            protocol.skip(kind)
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return fields


def write_struct(protocol, fields):
    """`fields`: number, type and what writes the value."""
    protocol.writeStructBegin("struct")
    for number, kind, write in fields:
        protocol.writeFieldBegin("field", kind, number)
        write(protocol)
        protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def write_message(protocol, name, kind, sequence, fields):
    protocol.writeMessageBegin(name, kind, sequence)
    write_struct(protocol, fields)
    protocol.writeMessageEnd()
    protocol.trans.flush()


def refused_struct(protocol):
    return read_struct(protocol, {1: lambda protocol: protocol.readString()})[1]


class Processor:
    def __init__(self, service):
        self.service = service

    def on_message_begin(self, _):
        pass

    def process(self, protocol, out):
        from thrift.Thrift import TMessageType, TType

        name, kind, sequence = protocol.readMessageBegin()
        fields = read_struct(protocol, {1: lambda protocol: protocol.readI32(), 2: lambda protocol: protocol.readBinary()})
        protocol.readMessageEnd()
        if name == "tally":
            answer = [(0, TType.STRING, lambda protocol: protocol.writeString(self.service.tally()))]
        else:
            try:
                result = self.service.serve(fields[1], fields[2])
                answer = [(0, TType.STRING, lambda protocol: protocol.writeBinary(result))]
            except Refused as refused:
                words = str(refused)
                exception = [(1, TType.STRING, lambda protocol: protocol.writeString(words))]
                answer = [(1, TType.STRUCT, lambda protocol: write_struct(protocol, exception))]
        if kind != TMessageType.ONEWAY:
            write_message(out, name, TMessageType.REPLY, sequence, answer)


class ApachePeer:
    has_one_way = True

    def __init__(self, protocol):
        self.protocol = protocol
        self.sequence = 0

    def send(self, name, kind, number=None):
        from thrift.Thrift import TType

        self.sequence += 1
        fields = []
        if number is not None:
            fields = [
                (1, TType.I32, lambda protocol: protocol.writeI32(number)),
                (2, TType.STRING, lambda protocol: protocol.writeBinary(body(number, REQUEST))),
            ]
        write_message(self.protocol, name, kind, self.sequence, fields)

    def receive(self, name, read):
        from thrift.Thrift import TApplicationException, TMessageType

        got, kind, sequence = self.protocol.readMessageBegin()
        if kind == TMessageType.EXCEPTION:
            error = TApplicationException()
            error.read(self.protocol)
            self.protocol.readMessageEnd()
            raise RuntimeError(f"{error.type}: {error.message}")
        if (got, sequence) != (name, self.sequence):
            raise RuntimeError(f"an answer to {got} {sequence}, not to {name} {self.sequence}")
        fields = read_struct(self.protocol, {0: read, 1: refused_struct})
        self.protocol.readMessageEnd()
        if 1 in fields:
            raise Refused(fields[1])
        return fields[0]

    def call(self, number):
        from thrift.Thrift import TMessageType

        self.send("mix", TMessageType.CALL, number)
        return self.receive("mix", lambda protocol: protocol.readBinary()) == body(number, ANSWER)

    def one_way(self, number):
        from thrift.Thrift import TMessageType

        self.send("mix_one_way", TMessageType.ONEWAY, number)

    def tally(self):
        from thrift.Thrift import TMessageType

        self.send("tally", TMessageType.CALL)
        return self.receive("tally", lambda protocol: protocol.readString())


def main():
    library, protocol = sys.argv[1].split("-")
    peers = {"thriftpy2": WithThriftpy2, "thrift": WithApache}[library](protocol)
    if sys.argv[2] == "server":
        peers.serve(mixture.Service())
        return
    host, port = sys.argv[3].split(":")
    mixture.run(lambda: peers.connect(host, int(port)), int(sys.argv[4]))


main()
