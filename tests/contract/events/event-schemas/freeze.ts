import { ALL_EVENT_TYPES, dataSchemaOf } from '../../../../src/features/events/log/catalogue.ts';
import { type Schema, surprisesOf } from './compatibility.ts';
import { readReleased, releasedTypes, writeReleased } from './released.ts';

// Freezes the forms of events as the catalogue has them: new types, and members that were added. What would surprise
// readers is refused; it needs a new version of the type.
let failures = 0;
for (const type of ALL_EVENT_TYPES) {
  const schema = dataSchemaOf(type);
  const surprises = releasedTypes().includes(type) ? surprisesOf(readReleased(type), schema as Schema) : [];
  if (surprises.length === 0) writeReleased(type, schema);
  else failures++;
  console.log(surprises.length === 0 ? `${type} is frozen` : `${type} is refused: ${surprises.join('; ')}`);
}
process.exitCode = failures === 0 ? 0 : 1;
