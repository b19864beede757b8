// Sends messages of many sizes to an echo server, several under way at a time, compares what comes back, pings, and closes.
const WebSocket = require('ws');
const crypto = require('crypto');

const sizes = [0, 1, 125, 126, 2047, 2048, 16384, 65535, 65536, 65537, 1 << 20, 5 << 20];
const socket = new WebSocket(process.argv[2], { maxPayload: 16 * 1024 * 1024, perMessageDeflate: false });
const expected = [];
let ponged = false;

function fail(reason) {
  console.error(`failed: ${reason}`);
  process.exit(1);
}

setTimeout(() => fail(`${expected.length} messages did not come back in time`), 20000).unref();
socket.on('error', (error) => fail(error.message));
socket.on('pong', () => { ponged = true; });
socket.on('open', () => {
  socket.send('a text');
  expected.push(Buffer.from('a text'));
  for (const size of sizes) {
    const message = crypto.randomBytes(size);
    expected.push(message);
    socket.send(message);
  }
  socket.ping('are you there');
});
socket.on('message', (data) => {
  const wanted = expected.shift();
  if (!wanted || !wanted.equals(data)) fail(`a message of ${data.length} bytes is not what was sent`);
  if (expected.length === 0) socket.close(1000, 'bye');
});
socket.on('close', (code, reason) => {
  if (expected.length > 0) fail(`closed with ${code} while ${expected.length} messages were under way`);
  if (!ponged) fail('no pong');
  console.log(`closed ${code} ${reason}`);
});
