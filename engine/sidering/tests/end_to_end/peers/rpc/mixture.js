// What a client calls and a server answers, each a function of the call's number, so that any mix-up shows: most are small, some
// have bodies of up to 8 MiB, some fail, some are slow, some get no answer. The server counts how often it saw each call.
'use strict';

const DEPTH = 32;
const PATIENCE_MS = 20_000;

/** A number below `bound` that depends on `number` and `salt` only. */
function draw(number, salt, bound) {
  let x = Math.imul(number ^ Math.imul(salt, 0x9e3779b9), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return ((x ^ (x >>> 16)) >>> 0) % bound;
}

/** How many bytes go one way. */
function size(number, salt) {
  if (number % 20_000 === 100 * salt) return 8 * 1024 * 1024 - draw(number, salt, 3);
  if (number % 2000 === 25 * salt) return 1_000_000 + draw(number, salt, 100_000);
  if (number % 40 === 3 * salt) return 65_000 + draw(number, salt, 1000);
  return draw(number, salt, 2000);
}

/** What is done with a call: `echo`, `fail`, `slow` (an echo that takes a while) or `oneWay`. */
function kind(number) {
  if (number % 16 === 5) return 'oneWay';
  if (number % 16 === 9) return 'fail';
  if (number % 64 === 15) return 'slow';
  return 'echo';
}

/** The bytes of one direction: its own for every call. */
function body(number, salt, largest = Infinity) {
  const word = Buffer.alloc(8);
  word.writeUInt32BE(number);
  word.writeUInt32BE(draw(number, salt + 7, 0xffffffff), 4);
  return Buffer.alloc(Math.min(size(number, salt), largest), word);
}

const REQUEST = 1;
const ANSWER = 2;

/** What a server does. */
class Service {
  constructor() {
    this.seen = new Map();
    this.total = 0;
  }

  /** Resolves to the answer's body; rejects if the call is one that fails. Bodies have at most `largest` bytes. */
  async serve(number, bytes, largest) {
    this.total += 1;
    this.seen.set(number, (this.seen.get(number) || 0) + 1);
    if (!bytes.equals(body(number, REQUEST, largest))) throw new Error(`the request ${number} is not the one that was sent`);
    const what = kind(number);
    if (what === 'fail') throw new Error(`refused ${number}`);
    // Servers here answer even those, which the proxy must not pass on.
    if (what === 'oneWay') return Buffer.from('nobody waits');
    if (what === 'slow') await new Promise(done => setTimeout(done, 20 + draw(number, 3, 200)));
    return body(number, ANSWER, largest);
  }

  /** How many calls came, and how many different ones. */
  tally() {
    return `${this.seen.size} ${this.total}`;
  }
}

/**
 * Makes `calls` calls, `DEPTH` at a time. `peer` has `call(number, bytes)` (resolves to the answer's bytes, rejects with an error
 * that bears the server's words), `oneWay(number, bytes)`, `tally()`, and `faults`, what else went wrong on the way.
 */
async function run(peer, calls) {
  const wrong = [];
  const counts = { echo: 0, slow: 0, fail: 0, oneWay: 0 };
  let bytes = 0;
  let next = 0;
  const began = Date.now();
  const one = async number => {
    const what = kind(number);
    const request = body(number, REQUEST);
    bytes += request.length;
    counts[what] += 1;
    if (what === 'oneWay') return peer.oneWay(number, request);
    let answer;
    try {
      answer = await peer.call(number, request);
    } catch (error) {
      const isRight = what === 'fail' && String(error.message).includes(`refused ${number}`);
      if (!isRight) wrong.push(`call ${number} (${what}): ${error.message}`.slice(0, 300));
      return;
    }
    const expected = body(number, ANSWER);
    bytes += expected.length;
    if (what === 'fail') wrong.push(`call ${number} should have failed`);
    else if (!answer || !expected.equals(answer)) wrong.push(`call ${number} (${what}): another answer than expected`);
  };
  const loop = async () => {
    while (next < calls && wrong.length < 20) await one(next++);
  };
  await Promise.all(Array.from({ length: DEPTH }, loop));
  // One-way calls may still be on their way.
  const deadline = Date.now() + PATIENCE_MS;
  let tally = await peer.tally();
  while (tally !== `${calls} ${calls}` && Date.now() < deadline) {
    await new Promise(done => setTimeout(done, 20));
    tally = await peer.tally();
  }
  if (tally !== `${calls} ${calls}`) wrong.push(`the server saw (different, all): ${tally}`);
  wrong.push(...peer.faults.slice(0, 20));
  const seconds = (Date.now() - began) / 1000;
  const summary = `${calls} calls in ${seconds.toFixed(1)} s, ${(bytes / 1e6).toFixed(0)} MB, ${JSON.stringify(counts)}`;
  console.log(wrong.length === 0 ? `all right: ${summary}` : `WRONG: ${summary}\n${wrong.join('\n')}`);
  process.exit(wrong.length === 0 ? 0 : 1);
}

/** What a server says when it listens. */
function listening(port) {
  console.error(`listening 127.0.0.1:${port}`);
}

module.exports = { DEPTH, Service, listening, run };
