import { dataSchemaOf } from '../../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../../src/features.ts';
import { incompatibilitiesOf, type Schema } from './compatibility.ts';
import { readReleased, releasedTypes, writeReleased } from './released.ts';

// Freezes the schemas of the catalogue: new types and added members. Rejects changes that would break consumers, which
// need a new version of the type.
let failures = 0;
for (const [type, kind] of Object.entries(EVENT_CATALOGUE)) {
  const schema = dataSchemaOf(kind);
  const incompatibilities = releasedTypes().includes(type)
    ? incompatibilitiesOf(readReleased(type), schema as Schema)
    : [];
  if (incompatibilities.length === 0) writeReleased(type, schema);
  else failures++;
  console.log(
    incompatibilities.length === 0
      ? `${type} is frozen`
      : `${type} is refused: ${incompatibilities.join('; ')}`,
  );
}
process.exitCode = failures === 0 ? 0 : 1;
