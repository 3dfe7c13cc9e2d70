import { findGoTool, goTool, installGoTool } from './go-tool.ts';

/** The proxy that tests break connections with. Its server tells no version of its own when Go built it. */
const TOXIPROXY = goTool(
  'toxiproxy',
  '2.5.0',
  'github.com/Shopify/toxiproxy/v2/cmd/server',
  'toxiproxy-server',
);

/** The path of the pinned toxiproxy server, or null where it is not installed. */
export function findToxiproxy(): string | null {
  return findGoTool(TOXIPROXY);
}

/** Builds the pinned server with Go. Throws what failed, why, and what to do. */
export function installToxiproxy(): Promise<void> {
  return installGoTool(TOXIPROXY);
}
