// Echoes every WebSocket message as it came, text as text and binary as binary.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 16 * 1024 * 1024, perMessageDeflate: false });
server.on('listening', () => {
  const { address, port } = server.address();
  console.error(`listening ${address}:${port}`);
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
