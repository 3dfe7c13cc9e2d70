import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  findCompose,
  findKubeconform,
  findKustomize,
  findPromtool,
  findSystemdAnalyze,
} from '../../../infra/deployment-tools.ts';
import { NATIVE_SERVICES } from '../../../infra/native-services.ts';
import { describeSettings } from '../../../src/config.ts';
import { isAvailable } from '../../support/is-available.ts';
import { filesOf } from '../../support/source-tree.ts';
import { START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';

const ROOT = dirname(dirname(dirname(import.meta.dir)));
const SETTINGS = new Set<string>(describeSettings().map(({ name }) => name));

/** Runs a program in the repository with this standard input. Returns its status and output. */
function run(
  program: string | null,
  args: readonly string[],
  input = '',
): { code: number | null; output: string } {
  // Bun enters the body of a skipped describe too, where the program is missing.
  if (program === null) return { code: null, output: '' };
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: ROOT,
    input,
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  });
  return { code: status, output: `${stdout}${stderr}` };
}

interface Service {
  readonly image?: string;
  readonly build?: { readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly target: number;
    readonly published: string;
    readonly host_ip: string;
  }[];
  readonly healthcheck?: object;
  readonly restart?: string;
  readonly volumes?: readonly { readonly type: string; readonly source: string }[];
  readonly networks?: object;
  readonly depends_on?: Readonly<Record<string, object>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
}

const compose = findCompose();
describe.if(isAvailable('the parser of Docker Compose', compose))(
  'compose.yaml, read by the parser of Docker Compose',
  () => {
    const { output, code } = run(compose, ['--format', 'json', 'compose.yaml']);
    const { services, volumes } = JSON.parse(code === 0 ? output : '{"services":{}}') as {
      services: Record<string, Service>;
      volumes: Record<string, object>;
    };
    const lasting = Object.entries(services).filter(([, { restart }]) => restart !== undefined);

    test('is valid', () =>
      expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' }));

    test('is invalid with a misspelled key', () => {
      const wrong = readFileSync(join(ROOT, 'compose.yaml'), 'utf8').replace('healthcheck:', 'heathcheck:');
      expect(run(compose!, ['--format', 'json', '-'], wrong).code).not.toBe(0);
    });

    test('publishes every service on its port, on the loopback interface only', () => {
      const ports = Object.values(services).flatMap(({ ports = [] }) => ports);
      expect(ports.map(({ published }) => Number(published)).sort((a, b) => a - b)).toEqual([
        3000, 5433, 6379, 8000, 8001, 9000, 9090, 9092,
      ]);
      expect(new Set(ports.map(({ host_ip }) => host_ip))).toEqual(new Set(['127.0.0.1']));
      const native = Object.values(NATIVE_SERVICES).map(({ port }) => port);
      expect(native.filter((port) => !ports.some(({ published }) => Number(published) === port))).toEqual([]);
    });

    test('checks the health of every service, restarts it, and stores its data in a named volume', () => {
      expect(lasting.map(([name]) => name).sort()).toEqual([
        'api',
        'grafana',
        'kafka',
        'postgres',
        'prometheus',
        'redis',
        's3',
      ]);
      const built = new Set(['api']);
      for (const [name, service] of lasting) {
        const named = service.volumes?.some(({ type, source }) => type === 'volume' && source in volumes);
        const isHealthChecked = built.has(name) || service.healthcheck !== undefined;
        expect({ name, named, isHealthChecked, networks: Object.keys(service.networks ?? {}) }).toEqual({
          name,
          named: true,
          isHealthChecked: true,
          networks: ['atlas'],
        });
      }
    });

    test('scrapes Atlas on its port for operators, where its metrics are', () => {
      const scraped = readFileSync(join(ROOT, 'infra/prometheus/prometheus.yml'), 'utf8');
      expect(scraped).toContain(`targets: ["api:${services.api!.environment!.ADMIN_PORT}"]`);
    });

    test('has no dependency on a service that does not exist', () => {
      const awaited = Object.values(services).flatMap(({ depends_on = {} }) => Object.keys(depends_on));
      expect(awaited.length).toBeGreaterThan(0);
      expect(awaited.filter((name) => !(name in services))).toEqual([]);
    });

    test('pins the version of every image', () => {
      const images = Object.values(services).flatMap(({ image, build }) => (build ? [] : image!));
      expect(images.filter((image) => !/:v?\d+\.\d+/.test(image))).toEqual([]);
    });

    test('mounts and builds from files that exist', () => {
      const sources = Object.values(services).flatMap(({ volumes = [] }) =>
        volumes.filter(({ type }) => type === 'bind').map(({ source }) => source),
      );
      expect(
        [...sources, join(ROOT, services.api!.build!.dockerfile)].filter((path) => !existsSync(path)),
      ).toEqual([]);
    });

    test('sets only settings of Atlas, and enough connections in PostgreSQL', () => {
      const { environment = {}, sysctls } = services.api!;
      expect(Object.keys(environment).filter((name) => !SETTINGS.has(name))).toEqual([]);
      expect(String(sysctls?.['net.ipv4.tcp_migrate_req'])).toBe('1');
      expect(services.postgres!.command).toContain('max_connections=200');
    });
  },
);

const kustomize = findKustomize();
const kubeconform = findKubeconform();
describe.if(isAvailable('kustomize', kustomize) && isAvailable('kubeconform', kubeconform?.binary ?? null))(
  'the manifests for Kubernetes',
  () => {
    const manifests = run(kustomize, ['build', 'infra/k8s']).output;
    const check = (text: string) =>
      run(kubeconform!.binary, ['-strict', '-summary', '-schema-location', kubeconform!.schemas], text);

    test('all match the schemas of Kubernetes', () => {
      const { code, output } = check(manifests);
      expect({ code, output }).toEqual({
        code: 0,
        output: expect.stringMatching(/Invalid: 0, Errors: 0, Skipped: 0/),
      });
      const kinds = [...manifests.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind!);
      expect([...new Set(kinds)].sort()).toEqual([
        'ConfigMap',
        'Deployment',
        'HorizontalPodAutoscaler',
        'Job',
        'Namespace',
        'NetworkPolicy',
        'PodDisruptionBudget',
        'Service',
        'ServiceAccount',
      ]);
    });

    test('scrape Atlas on its port for operators, which only namespaces that may scrape can reach', () => {
      const port = /ADMIN_PORT: "(\d+)"/.exec(manifests)![1];
      expect(manifests).toContain(`prometheus.io/port: "${port}"`);
      expect(manifests).toMatch(new RegExp(`containerPort: ${port}\n *name: admin`));
      expect(manifests).toMatch(
        /may-scrape: "true"\n *ports:\n *- port: admin\n *protocol: TCP\n(?! *- (?:port|from))/,
      );
    });

    test('do not match with a misspelled key', () => {
      const { code, output } = check(manifests.replace('readinessProbe:', 'readynessProbe:'));
      expect(code).not.toBe(0);
      expect(output).toContain('readynessProbe');
    });

    test('set only settings of Atlas, and a grace period longer than a request may take', () => {
      const config =
        /^kind: ConfigMap$/m.test(manifests) && /data:\n((?: {2}\w+: .*\n)+)/.exec(manifests)![1]!;
      const names = [...String(config).matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name!);
      expect(names.length).toBeGreaterThan(5);
      expect(names.filter((name) => !SETTINGS.has(name))).toEqual([]);
      const value = (name: string) => Number(new RegExp(`${name}: "?(\\d+)`).exec(manifests)![1]);
      expect(value('terminationGracePeriodSeconds')).toBeGreaterThan(
        value('HTTP_TIMEOUT') + value('DATABASE_TIMEOUT') + value('seconds'),
      );
    });
  },
);

const systemdAnalyze = findSystemdAnalyze();
describe.if(isAvailable('systemd-analyze', systemdAnalyze))('the unit for systemd', () => {
  const unit = readFileSync(join(ROOT, 'infra/systemd/atlas.service'), 'utf8');

  /** Checks a unit, whose programs must exist. Unknown keys are only warnings. */
  function check(text: string): { code: number | null; output: string } {
    const folder = mkdtempSync(join(tmpdir(), 'atlas-unit-'));
    const path = join(folder, 'atlas.service');
    writeFileSync(path, text.replace('/usr/local/bin/bun', process.execPath));
    const verified = run(systemdAnalyze, ['verify', '--man=no', path]);
    const secured = run(systemdAnalyze, ['security', '--offline=true', '--threshold=35', path]);
    rmSync(folder, { recursive: true });
    return { code: verified.code || secured.code, output: verified.output };
  }

  test('is valid, and confines Atlas', () => expect(check(unit)).toEqual({ code: 0, output: '' }));

  test('is invalid with a misspelled key, and unsafe without its limits', () => {
    expect(check(unit.replace('ProtectHome', 'ProtectHouse')).output).toContain('ProtectHouse');
    expect(check(unit.replace(/^(Protect|Restrict|NoNew).*$/gm, '')).code).not.toBe(0);
  });

  test('gives requests in flight the time they may take', () => {
    const settings = new Map(
      describeSettings().map(({ name, defaultText }) => [name as string, Number(defaultText)]),
    );
    const stopSeconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]);
    expect(stopSeconds).toBeGreaterThan(settings.get('HTTP_TIMEOUT')! + settings.get('DATABASE_TIMEOUT')!);
  });
});

const promtool = findPromtool();
describe.if(isAvailable('promtool', promtool))('the configuration of Prometheus', () => {
  test('is valid, and so are its rules', () => {
    expect(run(promtool!, ['check', 'config', 'infra/prometheus/prometheus.yml']).output).toContain(
      'SUCCESS',
    );
    expect(run(promtool!, ['check', 'rules', 'infra/prometheus/rules.yml']).code).toBe(0);
  });
});

describe('dashboards, alerts and the autoscaler', () => {
  test(
    'use only metrics that Atlas has',
    async () => {
      const atlas = await startTestApp();
      const known = new Set(atlas.registry.getMetricsAsArray().map(({ name }) => name));
      await atlas.close();
      const files = [...filesOf('infra/grafana/dashboards/*.json'), ...filesOf('infra/prometheus/*.yml')];
      expect(files).toHaveLength(4);
      const asked = files.flatMap((path) => {
        const text = readFileSync(join(ROOT, path), 'utf8').replaceAll(/name: \{ as: \w+ \}/g, '');
        return [...text.matchAll(/\batlas_\w+/g)].map(([name]) => ({
          path,
          name: name.replace(/_bucket$/, ''),
        }));
      });
      expect(asked.length).toBeGreaterThan(40);
      expect(asked.filter(({ name }) => !known.has(name))).toEqual([]);
    },
    START_TIMEOUT_MS,
  );

  test('name runbooks that exist', () => {
    const rules = readFileSync(join(ROOT, 'infra/prometheus/rules.yml'), 'utf8');
    const pages = [...rules.matchAll(/runbook: (\S+)/g)].map(([, path]) => path!);
    expect(pages.length).toBeGreaterThan(5);
    expect(pages.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
