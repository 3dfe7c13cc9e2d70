type Fetch = (request: Request) => Response | Promise<Response>;

/** Serves on a free port of the loopback interface, and prints its URL as `atlas serve` does. */
export function listen(fetch: Fetch): void {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => fetch(request) });
  console.log(`listening on http://127.0.0.1:${server.port}`);
}
