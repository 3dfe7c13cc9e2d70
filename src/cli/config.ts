import type { Command } from 'commander';
import { describeSettings, loadConfig, maskSetting } from '../config.ts';
import { describeUnknown } from '../utils/unknown-settings.ts';
import { table } from './output.ts';

export function addConfigCommand(program: Command): void {
  program
    .command('config')
    .description('show every setting, its value, and its source')
    .option('--json', 'print as JSON')
    .action(({ json }: { json?: boolean }) => {
      const { config, sources, unknown } = loadConfig();
      const settings = describeSettings().map((setting) => {
        const { name, unused } = setting;
        const value = config[name] === undefined ? '' : String(config[name]);
        const shown = value === '' ? value : maskSetting(value, setting);
        return { name, value: shown || null, source: sources[name], unused: unused === true };
      });
      if (json) return console.log(JSON.stringify({ settings, unknown }, null, 2));
      const rows = settings.map(({ name, value, source, unused }) => [
        name,
        value ?? '–',
        source,
        unused ? 'not used yet' : '',
      ]);
      console.log(table(['setting', 'value', 'source', ''], rows));
      for (const each of unknown) console.log(`! ${describeUnknown(each)}`);
    });
}
