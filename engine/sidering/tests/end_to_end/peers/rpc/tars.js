// Tars' server and client from npm: `tars.js server`, `tars.js client HOST:PORT CALLS`.
'use strict';

const net = require('net');
const Tars = require('@tars/rpc');
const Stream = require('@tars/stream');
const { Service, listening, run } = require('./mixture.js');

const SERVANT = 'Sidering.Test.MixtureObj';
const TIMEOUT_MS = 60_000;
const ONE_WAY = 1;
/** What a servant returns for a failed call: one of the codes that fit into one byte. */
const REFUSED = -77;

function toBinary(bytes) {
  const binary = new Stream.BinBuffer();
  binary.writeNodeBuffer(bytes);
  return binary;
}

/** In the shape that tars2node generates. */
function Mixture() {
  this.service = new Service();
}

Mixture.prototype.initialize = () => {};

Mixture.prototype.onDispatch = function (current, method, binary) {
  const out = new Stream.TarsOutputStream();
  if (method === 'tally') {
    out.writeString(0, this.service.tally());
    current.doResponse(out.getBinBuffer());
    return 0;
  }
  const input = new Stream.TarsInputStream(binary);
  const number = input.readInt32(1, true);
  const bytes = input.readBytes(2, true, Stream.BinBuffer).toNodeBuffer();
  this.service.serve(number, bytes).then(answer => {
    out.writeBytes(0, toBinary(answer));
    current.doResponse(out.getBinBuffer());
  }, error => current.sendErrorResponse(REFUSED, error.message));
  return 0;
};

/** The framework takes no port 0. */
function freePort() {
  return new Promise(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function serve() {
  const port = await freePort();
  Tars.server.createServer(Mixture).start({ endpoint: `tcp -h 127.0.0.1 -p ${port} -t 60000`, servant: SERVANT, protocol: 'tars' });
  const untilItListens = () => net.connect(port, '127.0.0.1')
    .on('connect', function () {
      this.destroy();
      listening(port);
    })
    .on('error', () => setTimeout(untilItListens, 10));
  untilItListens();
}

/** What tars2node generates calls `tars_invoke` with the encoded arguments. */
function Proxy() {
  this._name = undefined;
  this._worker = undefined;
}

async function call() {
  const [host, port] = address.split(':');
  const proxy = Tars.client.stringToProxy(Proxy, `${SERVANT}@tcp -h ${host} -p ${port} -t 60000`);
  proxy._worker.timeout = TIMEOUT_MS;
  const invoke = async (method, write, property) => {
    const out = new Stream.TarsOutputStream();
    write(out);
    try {
      const { response } = await proxy._worker.tars_invoke(method, out.getBinBuffer(), property);
      return new Stream.TarsInputStream(response.sBuffer);
    } catch (failure) {
      // A one-way call "fails" as soon as it is sent.
      if (property) return null;
      const { error } = failure;
      throw new Error(error ? `${error.code === REFUSED ? '' : error.code} ${error.message}` : String(failure));
    }
  };
  const mixed = (number, bytes) => out => {
    out.writeInt32(1, number);
    out.writeBytes(2, toBinary(bytes));
  };
  await run({
    faults: [],
    call: async (number, bytes) => {
      const input = await invoke('mix', mixed(number, bytes));
      return input.readBytes(0, true, Stream.BinBuffer).toNodeBuffer();
    },
    oneWay: (number, bytes) => invoke('mix', mixed(number, bytes), { packetType: ONE_WAY }),
    tally: async () => (await invoke('tally', () => {})).readString(0, true),
  }, Number(calls));
}

const [role, address, calls] = process.argv.slice(2);
const done = role === 'server' ? serve() : call();
done.catch(error => {
  console.error(error);
  process.exit(1);
});
