import { expect, test } from 'bun:test';
import { createFileStats, objectKeyOf } from '../../../../src/features/files/domain.ts';
import { createReconciler } from '../../../../src/features/files/reconciler.ts';
import type { FileObjects, FileRepository } from '../../../../src/features/files/repository.ts';

const REALM = 'realm';
const never = new AbortController().signal;

test('many objects of one owner that cannot be deleted do not prevent the deletion of others', async () => {
  const held = Array.from({ length: 450 }, (_, i) => `a${String(i).padStart(4, '0')}`);
  const deleting = new Set([...held, 'b0', 'b1']);
  const repository: Partial<FileRepository> = {
    realm: async () => REALM,
    expire: async () => 0,
    listStored: async () => [],
    listDeleting: async (after, limit) =>
      [...deleting].filter((id) => after === null || id > after).slice(0, limit),
    forget: async (id) => {
      deleting.delete(id);
    },
  };
  const objects: Partial<FileObjects> = {
    delete: async (key) => {
      if (held.some((id) => key === objectKeyOf(REALM, id))) throw new Error('under a legal hold');
    },
  };
  const reconciler = createReconciler({
    repository: repository as FileRepository,
    objects: objects as FileObjects,
    stats: createFileStats(),
    timeoutMs: 1000,
    onDamaged: () => {},
  });
  for (let run = 0; run < 3; run++) await expect(reconciler.settle(never)).rejects.toThrow('legal hold');
  expect([...deleting]).toEqual(held);
  // It begins again from the first.
  held.splice(0, 200);
  await expect(reconciler.settle(never)).rejects.toThrow('legal hold');
  expect(deleting.size).toBe(250);
});
