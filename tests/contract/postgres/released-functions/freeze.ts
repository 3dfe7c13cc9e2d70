import { readSqlFunctions } from '../../../../src/adapters/postgres/sql-functions.ts';
import { isRefused, type ReleasedFunction, readReleased, toReleased, writeReleased } from './released.ts';

// Freezes the SQL functions: new ones, and those whose number has grown. Rejects a changed text with the same number:
// a database that has it would refuse to start this release.
const released = readReleased();
const frozen: Record<string, ReleasedFunction> = {};
for (const wanted of await readSqlFunctions()) {
  const refused = isRefused(released[wanted.name], toReleased(wanted));
  frozen[wanted.name] = refused ? released[wanted.name]! : toReleased(wanted);
  if (refused) process.exitCode = 1;
  console.log(refused ? `${wanted.name} is refused: raise its number` : `${wanted.name} is frozen`);
}
writeReleased(frozen);
