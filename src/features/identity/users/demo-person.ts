import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import type { UserRepository } from './repository.ts';

/**
 * Creates the person of the demo data, an administrator of its organization, unless the person exists. The password is
 * in the documentation, so the person only has one where nobody but developers can reach this Atlas.
 */
export async function createDemoPerson(
  users: UserRepository,
  hasher: PasswordHasher,
  hasPassword: boolean,
): Promise<void> {
  if (await users.doesExist(DEMO_PERSON.id)) return;
  const caller = { address: '', signal: new AbortController().signal };
  await users.insertDemo(hasPassword ? await hasher.hash(DEMO_PERSON.password, caller) : null);
}
