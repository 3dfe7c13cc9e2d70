import { dataSchemaOf } from '../../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../../src/features.ts';
import { type Schema, surprisesOf } from './compatibility.ts';
import { readReleased, releasedTypes, writeReleased } from './released.ts';

// Freezes the forms of events as the catalogue has them: new types, and members that were added. What would surprise
// readers is refused; it needs a new version of the type.
let failures = 0;
for (const [type, kind] of Object.entries(EVENT_CATALOGUE)) {
  const schema = dataSchemaOf(kind);
  const surprises = releasedTypes().includes(type) ? surprisesOf(readReleased(type), schema as Schema) : [];
  if (surprises.length === 0) writeReleased(type, schema);
  else failures++;
  console.log(surprises.length === 0 ? `${type} is frozen` : `${type} is refused: ${surprises.join('; ')}`);
}
process.exitCode = failures === 0 ? 0 : 1;
