import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../infra/test-tools.ts';
import { isAvailable } from '../support/is-available.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const PAGE_TIMEOUT_MS = 60_000;
const executable = findChromium();
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe.if(isAvailable('Chromium', executable))('the documentation in a browser', () => {
  let folder: string;
  let profile: string;
  let atlas: AtlasProcess;
  let browser: BrowserContext;
  beforeAll(async () => {
    folder = await makeFolder();
    profile = await mkdtemp(join(tmpdir(), 'atlas-e2e-browser-'));
    atlas = await startAtlas(folder);
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: executable!,
      args: FLAGS,
      viewport: { width: 1280, height: 1000 },
    });
  }, PAGE_TIMEOUT_MS);
  afterAll(async () => {
    await browser?.close();
    await atlas?.end('SIGTERM');
    await removeFolder(folder);
    await rm(profile, { recursive: true, force: true });
  });

  /** Loads the page again once it has loaded: a request that is cut off would count as failed. */
  async function reload(page: Page): Promise<void> {
    await page.waitForLoadState('networkidle');
    await page.reload();
  }

  /** Enters the key in Swagger UI. */
  async function authorize(page: Page): Promise<void> {
    await page.evaluate(() => localStorage.clear());
    await reload(page);
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    await page.getByLabel('auth-bearer-value').fill(atlas.key!);
    await page.getByRole('button', { name: 'Apply credentials' }).click();
    await page.getByRole('button', { name: 'Close', exact: true }).click();
  }

  /** Opens the operations of a tag in Swagger UI. */
  async function openTag(page: Page, tag: string): Promise<void> {
    await page.locator(`.opblock-tag[data-tag="${tag}"]`).click();
  }

  /** Opens a page and records its requests and its errors, including violations of its policy. */
  async function open(path: string): Promise<{ page: Page; asked: Set<string>; complaints: string[] }> {
    const page = await browser.newPage();
    const asked = new Set<string>();
    const complaints: string[] = [];
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== 'data:' && protocol !== 'blob:') asked.add(host);
    });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`));
    await page.goto(`${atlas.url}${path}`);
    return { page, asked, complaints };
  }

  test(
    'Swagger UI performs a real request with a key, and loads nothing from elsewhere',
    async () => {
      const { page, asked, complaints } = await open('/docs');
      await page.getByRole('heading', { name: /^Atlas/ }).waitFor();

      await authorize(page);

      await openTag(page, 'Health');
      const ping = page.locator('.opblock', { hasText: '/v1/ping' });
      await ping.locator('.opblock-summary-control').click();
      await ping.getByRole('button', { name: 'Execute' }).click();
      const response = ping.locator('.live-responses-table');
      await response.waitFor();
      expect(await response.locator('.response-col_status').last().textContent()).toContain('200');
      expect(await response.textContent()).toContain('"pong": true');

      expect([...asked]).toEqual([new URL(atlas.url).host]);
      expect(complaints).toEqual([]);
      await page.close();
    },
    PAGE_TIMEOUT_MS,
  );

  test(
    'Swagger UI keeps the key when the page is loaded again, and shows a whole operation on one screen',
    async () => {
      const { page, complaints } = await open('/docs');
      await authorize(page);
      await reload(page);

      await openTag(page, 'Transfers');
      const transfer = page.locator('.opblock', { hasText: 'Post a transfer between' });
      await transfer.locator('.opblock-summary-control').click();
      const statuses = transfer.locator('.responses-table .response');
      await statuses.first().waitFor();
      const { height } = (await transfer.boundingBox())!;
      expect(height).toBeLessThan(page.viewportSize()!.height);
      const conflict = transfer.locator('.response[data-code="409"]');
      expect(await conflict.textContent()).toContain('idempotency_key_in_progress');
      expect(await conflict.locator('.model-example').isVisible()).toBe(false);
      await conflict.locator('.response-col_status').click();
      expect(await conflict.locator('.model-example').isVisible()).toBe(true);

      await transfer.getByRole('button', { name: 'Execute' }).click();
      const response = transfer.locator('.live-responses-table');
      await response.waitFor();
      expect(await response.locator('.response-col_status').last().textContent()).toContain('201');
      expect(complaints).toEqual([]);
      await page.close();
    },
    PAGE_TIMEOUT_MS,
  );

  test(
    'ReDoc shows every operation, and loads nothing from elsewhere',
    async () => {
      const { page, asked, complaints } = await open('/redoc');
      await page
        .getByRole('heading', { name: /^Atlas/ })
        .first()
        .waitFor();
      const document = (await (await fetch(`${atlas.url}/openapi.json`)).json()) as {
        paths: Record<string, Record<string, { summary: string }>>;
      };
      const summaries = Object.values(document.paths).flatMap((path) =>
        Object.values(path).map(({ summary }) => summary),
      );
      const text = await page.locator('#redoc').textContent();
      expect(summaries.length).toBeGreaterThan(10);
      expect(summaries.filter((summary) => !text!.includes(summary))).toEqual([]);

      expect([...asked]).toEqual([new URL(atlas.url).host]);
      expect(complaints).toEqual([]);
      await page.close();
    },
    PAGE_TIMEOUT_MS,
  );
});
