import { connect } from 'node:net';

// The SSLRequest message, to which a server replies with one byte before it knows who connects (PostgreSQL, protocol).
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const TIMEOUT_MS = 1000;

/**
 * Whether a PostgreSQL on the port responds. That it accepts a connection proves nothing: the kernel does so for a
 * server that is being killed, and resets the connection a moment later.
 */
export function isResponsive(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(SSL_REQUEST));
    const settle = (responsive: boolean) => {
      socket.destroy();
      resolve(responsive);
    };
    socket.once('data', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
    socket.setTimeout(TIMEOUT_MS, () => settle(false));
  });
}
