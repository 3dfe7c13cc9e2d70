import { describeSettings, type SettingDescription } from '../config.ts';

/** Returns the text of `.env.example`: every setting with its description, commented out at its default. */
export function envExample(): string {
  const blocks = sections().map(([section, settings]) => {
    const entries = settings.map(
      (setting) =>
        `# ${describeSetting(setting)} Allowed: ${setting.allowed}.\n#${setting.name}=${setting.defaultText}`,
    );
    return `## ${section}\n\n${entries.join('\n\n')}`;
  });
  return `# Copy to .env and change what you need. The environment overrides this file. Times are in seconds.\n\n${blocks.join('\n\n')}\n`;
}

/** Returns the text of `docs/settings.md`: a table for each section. */
export function settingsPage(): string {
  const tables = sections().map(([section, settings]) => {
    const rows = settings.map(
      (setting) => `| \`${setting.name}\` | ${setting.defaultText || '–'} | ${describeSetting(setting)} |`,
    );
    return `## ${section}\n\n| setting | default | description |\n|---|---|---|\n${rows.join('\n')}`;
  });
  return `${PAGE_HEAD}\n\n${tables.join('\n\n')}\n`;
}

const PAGE_HEAD = `# Settings

<!-- Written by \`npm run docs:generate\`. -->

Atlas reads its settings from the environment and from a \`.env\` file; the environment wins. Times are in seconds.
Unset settings have the defaults below. \`npm run -s atlas -- config\` shows every value and where it came from.

A name that looks like a setting and is none is reported by every command, with the setting that was probably meant:
in \`.env\`, any name with the first word of a setting, such as \`DATABASE_\`; in the environment, which also belongs to
other programs, only a name that is similar to a setting that is not set. \`.env\` must be UTF-8; any other encoding
is refused.`;

function sections(): [string, SettingDescription[]][] {
  return Object.entries(Object.groupBy(describeSettings(), ({ section }) => section)) as [
    string,
    SettingDescription[],
  ][];
}

/** Returns the description of a setting, and whether it is unused. */
export function describeSetting({ description, unused }: SettingDescription): string {
  return unused ? `${description} Not used yet.` : description;
}
