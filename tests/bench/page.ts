import { conditionsText } from './conditions.ts';
import { memoryPlot } from './memory.ts';
import type { Part } from './part.ts';
import { PARTS, partNames } from './parts.ts';
import type { BenchReport, OtherReport, PageData } from './report.ts';
import { overloadPlot } from './saturation/plot.ts';
import type { Target } from './targets.ts';

/** Where the page and its data are. */
export const PAGE_FILE = 'docs/benchmarks.md';
export const DATA_FILE = 'docs/benchmarks.json';
const PLOTS = 'docs/plots';
const PLOT_TITLES: Readonly<Record<string, string>> = {
  'bench-overload.svg': 'Goodput and latency of payments and reads under overload',
  'bench-memory.svg': 'Memory of a worker under a steady load',
};

const HEAD = `# Benchmarks

<!-- Written by \`npm run bench:page\` from docs/benchmarks.json. -->

\`npm run bench\` measures everything on this page in one run, interleaved, and prints it with the conditions. The JSON goes to
\`.atlas/bench\`; \`npm run bench:page -- FILE\` writes this page from it. It takes half an hour; \`-- --quick\` takes five minutes and
is too short for meaningful results; \`-- --only PART\` runs one part. It needs Linux and two cores, and installs PostgreSQL 15,
Redis and oha where it can: on Debian, as root, with cargo.

\`npm run bench -- --compare REVISION\` checks another revision out, runs the servers of both in the same rounds, and prints both
with their ratio.`;

const READING = `## How to read it

- **Compare ratios, not rates.** Single runs on a virtual machine vary by 20 %. Both sides of a ratio ran in turn in the same
  minutes, and the ratio is the median over the rounds.
- **CPU time per request** is what a server used divided by what it served. It is valid even if the client was the bottleneck.
- **Goodput** counts 2xx responses within 200 ms of when their request was due, not of when the client got round to sending it.
- **The ceiling** is the goodput that remains if refusing the rest costs what it costs: at r times the peak, (1 − rc) ÷ (1 − c)
  of it, c being a refusal ÷ a payment.
- **Refused** requests (429) are results. A part that failed is missing.`;

const OTHERS = `## More benchmarks

| command | measures |
|---|---|
| \`npm run bench:overload\` | Routes on a pool of 20 connections or 20 slots: no shedding, a fixed limit, and Atlas, at up to ten times the capacity. \`-- --plots\` draws its plots in \`docs/plots\`. |
| \`npm run bench:cluster\` | Use of the cap, Redis commands, the cost of an admission decision, two workers against one, thousands of callers. |
| \`npm run bench:relay\` | The relay from the outbox to Kafka, alone and while posting. |
| \`npm run bench:files\` | Speed and memory of uploads and downloads of 1 GiB, to a directory and to S3. |

[ADR 002](adr/002-the-envelope.md) explains where the time of the envelope goes, [ADR 003](adr/003-load-shedding.md) how load is shed.
The last runs of these whose JSON was given to \`npm run bench:page\`:`;

/** Writes the page. The same data always give the same page. */
export function pageOf({ bench, others }: PageData): string {
  const { conditions, parts, targets } = bench;
  const sections = partNames
    .filter((name) => parts[name] !== undefined)
    .map((name) => sectionOf(PARTS[name] as Part<unknown>, parts[name]));
  return `${[
    HEAD,
    `## Conditions\n\n${fenced(conditionsText(conditions))}`,
    `## Targets\n\n${targetsMarkdown(targets)}`,
    ...Object.keys(plotsOf(bench)).map((file) => `![${PLOT_TITLES[file]}](plots/${file})`),
    READING,
    ...sections,
    OTHERS,
    ...Object.entries(others).map(([name, report]) => otherSection(name, report)),
  ].join('\n\n')}\n`;
}

function otherSection(name: string, { conditions, targets }: OtherReport): string {
  return `### \`bench:${name}\`\n\n${fenced(conditionsText(conditions))}\n\n${targetsMarkdown(targets)}`;
}

/** Draws the plots of the page, by file name in `docs/plots`. */
export function plotsOf(report: BenchReport): Record<string, string> {
  const { conditions, parts } = report;
  const when = `${conditions.date.slice(0, 10)}, ${conditions.cores} cores`;
  const plots = {
    'bench-overload.svg': overloadPlot(parts['overload-payments'], parts['overload-reads'], when),
    'bench-memory.svg': memoryPlot(parts.memory, when),
  };
  return Object.fromEntries(
    Object.entries(plots).filter((plot): plot is [string, string] => plot[1] !== null),
  );
}

/** The path of a plot in the repository. */
export function plotFile(name: string): string {
  return `${PLOTS}/${name}`;
}

function sectionOf(part: Part<unknown>, result: unknown): string {
  return [`## ${part.title}`, part.note, ...part.tables(result).map(fenced)].join('\n\n');
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

function targetsMarkdown(targets: readonly Target[]): string {
  const rows = targets.map(({ name, target, measured, result }) => {
    const shown = result === 'met' ? result : `**${result}**`;
    return `| ${name} | ${target} | ${measured} | ${shown} |`;
  });
  return ['| | target | measured | |', '|---|---|---|---|', ...rows].join('\n');
}
