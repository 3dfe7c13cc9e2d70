import { readdir, readFile, readlink } from 'node:fs/promises';

const LISTENING = '0A';

/** Returns the addresses (`127.0.0.1`, `0.0.0.0`, `::`) on which a process listens for TCP, one per socket (Linux). */
export async function listeningAddresses(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => '')),
  );
  const inodes = new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')),
  );
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING && inodes.has(fields[9]!))
    .map((fields) => addressOf(fields[1]!.split(':')[0]!));
}

/** Parses `0100007F`, bytes in machine order. Returns an IPv4-mapped IPv6 address as IPv4. */
function addressOf(hex: string): string {
  const v4 = /^0{16}FFFF0000(\w{8})$/.exec(hex)?.[1] ?? (hex.length === 8 ? hex : null);
  if (v4 === null) return /^0+$/.test(hex) ? '::' : `[${hex}]`;
  return (v4.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join('.');
}
