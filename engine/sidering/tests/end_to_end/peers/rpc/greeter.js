// A provider from npm (sofa-rpc-node) for what is bridged to it: `greeter.js bolt`, `greeter.js dubbo`.
'use strict';

const { listening } = require('./mixture.js');
const { RpcServer } = require('sofa-rpc-node').server;

const PROTOCOLS = { bolt: 'sofa-bolt-node', dubbo: 'dubbo-remoting' };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const java = ($class, $) => ({ $class, $ });
const notes = [];

/** A value and what it was read as, in words. */
function seen(value) {
  if (value === null || value === undefined) return 'null';
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`;
  if (value instanceof Date) return `date ${value.getTime()}`;
  if (Array.isArray(value)) return `[${value.map(seen).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.keys(value).sort().map(key => `${key}: ${seen(value[key])}`).join(', ')}}`;
  }
  return `${typeof value} ${value}`;
}

async function serve(protocol) {
  const server = new RpcServer({ logger: quiet, protocol, port: 0, version: '1.0' });
  server.addService('com.example.Greeter', {
    async sayHello(name, times) {
      return Array(times).fill(`Hello ${name}`).join(', ');
    },
    async see(...values) {
      return values.map(seen).join('; ');
    },
    async kinds() {
      return java('java.util.HashMap', {
        text: 'ä😀"',
        int: java('int', 7),
        long: java('long', '9007199254740993'),
        double: java('double', 0.5),
        yes: true,
        nothing: null,
        bytes: Buffer.from([1, 2, 255]),
        date: new Date(1_709_210_096_789),
        list: [1, 'two', [3]],
        user: java('com.example.User', { id: java('long', '-9223372036854775808'), name: 'Ann' }),
        amount: java('java.math.BigDecimal', { value: '12345678901234567890.10' }),
      });
    },
    async large(length) {
      return 'x'.repeat(length);
    },
    async fails(message) {
      throw new Error(message);
    },
    async nothing() {
      return null;
    },
    async never() {
      await new Promise(() => {});
    },
    async note(text) {
      notes.push(text);
    },
    async noted() {
      return notes.join(',') || 'none';
    },
  });
  server.on('error', () => {});
  await server.start();
  listening(server.publishPort);
}

serve(require(PROTOCOLS[process.argv[2]])).catch(error => {
  console.error(error);
  process.exit(1);
});
