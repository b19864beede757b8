// SOFARPC's server and client from npm with either of their protocols: `sofa.js bolt server`, `sofa.js dubbo client HOST:PORT CALLS`;
// with `direct` behind it if there is no proxy between them.
//
// Half of the calls are made by sofa-rpc-node's client, the others by the bare codec on a connection of its own, which can also
// send one-way calls, bolt version 2 and checksums, and notices answers that nobody waits for.
'use strict';

const net = require('net');
const { pipeline } = require('stream');
const { Service, listening, run } = require('./mixture.js');
const { RpcServer } = require('sofa-rpc-node').server;
const { RpcClient } = require('sofa-rpc-node').client;

const PROTOCOLS = { bolt: 'sofa-bolt-node', dubbo: 'dubbo-remoting' };
const INTERFACE = 'com.sidering.test.MixtureService';
const VERSION = '1.0';
const [name, role, address, calls, direct] = process.argv.slice(2);
const isDirect = direct === 'direct';
const TIMEOUT_MS = 60_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

async function serve(protocol) {
  const service = new Service();
  const server = new RpcServer({ logger: quiet, protocol, port: 0, version: VERSION });
  server.addService(INTERFACE, {
    async mix(number, bytes) {
      return service.serve(number, bytes);
    },
    // For dubbo_calls.py, which has no byte arrays; dubbo-remoting writes an empty text wrongly.
    async mixText(number, text) {
      const answer = await service.serve(number, Buffer.from(text, 'hex'), 15_000);
      return `x${answer.toString('hex')}`;
    },
    async tally() {
      return service.tally();
    },
  });
  server.on('error', error => console.error(error.message));
  await server.start();
  listening(server.publishPort);
}

/** One connection with the bare codec. */
class Bare {
  constructor(protocol, address, change, faults) {
    this.waiting = new Map();
    this.faults = faults;
    this.lastId = 0;
    const sentReqs = new Map();
    this.encoder = protocol.encoder({ sentReqs, classCache: new Map() });
    change(this.encoder);
    const decoder = protocol.decoder({ sentReqs, classCache: new Map() });
    decoder.on('response', response => this.answered(response));
    const [host, port] = address.split(':');
    const socket = net.connect(Number(port), host);
    pipeline(this.encoder, socket, decoder, error => {
      const text = error ? error.message : 'the connection ended';
      this.waiting.forEach(({ reject }) => reject(new Error(text)));
      faults.push(text);
    });
  }

  answered({ packetId, data }) {
    const waiting = this.waiting.get(packetId);
    if (!waiting) {
      // The server answers one-way calls, too; only without a proxy is that to be seen.
      if (!isDirect) this.faults.push(`an answer to ${packetId}, which nobody waits for`);
      return;
    }
    this.waiting.delete(packetId);
    if (data.error) waiting.reject(data.error);
    else waiting.resolve(data.appResponse);
  }

  send(methodName, args, oneway) {
    const id = ++this.lastId;
    const request = { serverSignature: `${INTERFACE}:${VERSION}`, methodName, args, timeout: TIMEOUT_MS, oneway };
    return new Promise((resolve, reject) => {
      if (!oneway) this.waiting.set(id, { resolve, reject });
      this.encoder.writeRequest(id, request, error => {
        if (error) reject(error);
        else if (oneway) resolve();
      });
    });
  }
}

async function call(protocol) {
  const faults = [];
  const logger = { ...quiet, warn: (...words) => faults.push(words.join(' ').slice(0, 300)) };
  const client = new RpcClient({ logger, protocol, connectionOpts: { protocol } });
  const consumer = client.createConsumer({ interfaceName: INTERFACE, version: VERSION, serverHost: address, responseTimeout: TIMEOUT_MS });
  await consumer.ready();
  const changes = {
    bolt: [() => {}, encoder => Object.assign(encoder, { protocolType: 'bolt2', boltVersion: 2, crcEnable: true })],
    dubbo: [() => {}],
  };
  const bare = changes[name].map(change => new Bare(protocol, address, change, faults));
  const pick = number => bare[(number >> 1) % bare.length];
  await run({
    faults,
    call: (number, bytes) => number % 2 === 0
      ? consumer.invoke('mix', [number, bytes])
      : pick(number).send('mix', [number, bytes], false),
    oneWay: (number, bytes) => pick(number).send('mix', [number, bytes], true),
    tally: () => consumer.invoke('tally', []),
  }, Number(calls));
}

/** dubbo-remoting writes no one-way calls: the bit that asks for an answer is taken off what it wrote. */
function withOneWay(protocol) {
  const encoder = options => {
    const made = protocol.encoder(options);
    const encode = made._requestEncode.bind(made);
    made._requestEncode = packet => {
      const bytes = encode(packet);
      if (packet.req.oneway) bytes[2] &= ~0x40;
      return bytes;
    };
    return made;
  };
  return { ...protocol, encoder };
}

const protocol = name === 'dubbo' ? withOneWay(require(PROTOCOLS[name])) : require(PROTOCOLS[name]);
const done = role === 'server' ? serve(protocol) : call(protocol);
done.catch(error => {
  console.error(error);
  process.exit(1);
});
