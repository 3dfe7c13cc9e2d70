import { describeSettings, type SettingDescription } from '../config.ts';

const BEGIN = '<!-- settings: written by `npm run docs:generate` -->';
const END = '<!-- settings end -->';

/** The text of `.env.example`: every setting with what it is, its default commented out. */
export function envExample(): string {
  const sections = Object.entries(Object.groupBy(describeSettings(), ({ section }) => section));
  const blocks = sections.map(([section, settings]) => {
    const entries = settings!.map(
      (setting) =>
        `# ${describe(setting)} Allowed: ${setting.allowed}.\n#${setting.name}=${setting.defaultText}`,
    );
    return `## ${section}\n\n${entries.join('\n\n')}`;
  });
  return `# Copy to .env and change what you need. The environment wins over this file. Times are in seconds.\n\n${blocks.join('\n\n')}\n`;
}

/** The README with its table of settings renewed. Throws when the README has no place for it. */
export function replaceSettingsTable(readme: string): string {
  const [before, rest] = readme.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error(
      `README.md has no place for the settings.\n  why:  "${BEGIN}" or "${END}" is missing\n  do:   put both lines where the table belongs`,
    );
  const rows = describeSettings().map(
    (setting) => `| \`${setting.name}\` | ${setting.defaultText || '–'} | ${describe(setting)} |`,
  );
  return `${before}${BEGIN}\n| setting | default | what it is |\n|---|---|---|\n${rows.join('\n')}\n${END}${after}`;
}

function describe({ description, unused }: SettingDescription): string {
  return unused ? `${description} Not used yet.` : description;
}
