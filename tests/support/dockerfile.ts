/** An instruction of a Dockerfile: its first word, and the rest with continued lines joined. */
export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** A build stage: its base image, its name, and its instructions. */
export interface Stage {
  readonly from: string;
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

/** Parses the stages of a Dockerfile like that of Atlas: no heredocs, no build arguments. */
export function parseDockerfile(text: string): Stage[] {
  const joined = text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n/g, ' ');
  const stages: { from: string; name: string | null; instructions: Instruction[] }[] = [];
  for (const line of joined.split('\n').map((text) => text.trim().replaceAll(/\s+/g, ' '))) {
    if (line === '') continue;
    const [name = '', ...words] = line.split(' ');
    const rest = words.join(' ');
    if (name === 'FROM') stages.push({ from: words[0]!, name: words[2] ?? null, instructions: [] });
    else stages.at(-1)!.instructions.push({ name, rest });
  }
  return stages;
}

/** Returns the variables of all `ENV` instructions. */
export function environmentOf({ instructions }: Stage): Record<string, string> {
  const pairs = instructions.filter(({ name }) => name === 'ENV').flatMap(({ rest }) => rest.split(' '));
  return Object.fromEntries(pairs.map((pair) => pair.split('=', 2) as [string, string]));
}

/** Returns the JSON array of the last instruction with this name, or an empty array. */
export function wordsOf({ instructions }: Stage, name: string): string[] {
  const found = instructions.findLast((instruction) => instruction.name === name)?.rest ?? '[]';
  return JSON.parse(found.slice(found.indexOf('['))) as string[];
}
