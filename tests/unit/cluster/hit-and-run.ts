import { connect } from 'node:net';

// Runs as a process: opens connections to a port, each with a request that it does not wait for, until it is killed.
const CONNECTIONS = 48;
const OPEN_MS = 4;
const port = Number(process.argv[2]);

function open(): void {
  const socket = connect(port, '127.0.0.1', () => {
    socket.write('GET / HTTP/1.1\r\nHost: atlas.test\r\n\r\n');
    setTimeout(() => socket.destroy(), OPEN_MS);
  });
  socket.on('error', () => {});
  socket.on('close', open);
}

for (let i = 0; i < CONNECTIONS; i++) open();
