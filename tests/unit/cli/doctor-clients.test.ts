import { expect, test } from 'bun:test';
import { notesOnClients } from '../../../src/cli/doctor-clients.ts';

test.each([
  ['https://atlas.example.com', [], 1],
  ['https://atlas.example.com', ['10.0.0.2'], 0],
  ['http://localhost:8000', [], 0],
  [undefined, [], 0],
])(
  'with PUBLIC_URL=%s and TRUSTED_PROXIES=%j, %d notes say that all clients look the same',
  (url, proxies, count) => {
    const notes = notesOnClients({ PUBLIC_URL: url, TRUSTED_PROXIES: proxies });
    expect(notes.filter((note) => note.includes('Set TRUSTED_PROXIES'))).toHaveLength(count);
  },
);
