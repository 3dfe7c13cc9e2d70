import type { Command } from 'commander';
import { describeSettings, loadConfig, maskSecret } from '../config.ts';
import { table } from './output.ts';

export function addConfigCommand(program: Command): void {
  program
    .command('config')
    .description('show every setting, its value, and its source')
    .action(() => {
      const { config, sources } = loadConfig();
      const rows = describeSettings().map(({ name, secret, unused }) => {
        const value = config[name] === undefined ? '' : String(config[name]);
        return [
          name,
          secret && value ? maskSecret(value) : value || '–',
          sources[name],
          unused ? 'not used yet' : '',
        ];
      });
      console.log(table(['setting', 'value', 'source', ''], rows));
    });
}
