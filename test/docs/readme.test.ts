/** What the documents say of settings and of each other, compared with what there is. For .env.example: test/config/. */
import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const READMES = ['README.md', 'README.zh-CN.md'];

/** parseConfig asks an environment in which nothing is set: what it asks for is what there is to set. */
function variablesRead(): string[] {
  const read = new Set<string>();
  parseConfig(new Proxy({}, { get: (_, name) => void read.add(String(name)) }));
  return [...read].toSorted();
}

function readText(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8');
}

/** First cells of the table whose first row names LISTEN; each variable in backquotes. */
function variablesInTable(markdown: string): string[] {
  const tables = markdown.split(/\n(?!\|)/).map((text) => [...text.matchAll(/^\| `([A-Z][A-Z0-9_]*)` \|/gm)]);
  const settings = tables.filter((rows) => rows.some((row) => row[1] === 'LISTEN'));
  expect(settings).toHaveLength(1);
  return (settings[0] ?? []).map((row) => row[1] ?? '');
}

describe('settings', () => {
  test.each(READMES)('the table of %s names every variable that the service reads, once', async (path) => {
    expect(variablesInTable(await readText(path)).toSorted()).toEqual(variablesRead());
  });

  test('both READMEs show the same variables in the same order', async () => {
    const [english = '', chinese = ''] = await Promise.all(READMES.map(readText));
    expect(variablesInTable(chinese)).toEqual(variablesInTable(english));
  });
});

async function markdownFiles(): Promise<string[]> {
  const entries = await readdir(join(ROOT, 'docs'), { recursive: true, withFileTypes: true });
  const inDocs = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  return [...READMES, 'CONTRIBUTING.md', 'CHANGELOG.md', ...inDocs];
}

/** Targets of links, without what is shown as code. */
function linksIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map((match) => match[1] ?? '');
}

/** What GitHub makes of a heading. */
function anchorsIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('links', () => {
  test('the documents are found, and links in them', async () => {
    const files = await markdownFiles();
    expect(files).toContain('docs/architecture.md');
    expect(files.length).toBeGreaterThan(8);
    expect(linksIn(await readText('README.md'))).toContain('docs/cli.md');
  });

  test('every relative link leads to something that is there', async () => {
    const broken: string[] = [];
    for (const path of await markdownFiles()) {
      const text = await readText(path);
      for (const link of linksIn(text).filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))) {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? join(ROOT, path) : resolve(ROOT, dirname(path), decodeURI(file));
        const isThere = await access(target).then(
          () => true,
          () => false,
        );
        const headings = isThere && anchor ? anchorsIn(await readFile(target, 'utf8')) : [];
        if (!isThere || (anchor && !headings.includes(anchor))) broken.push(`${path}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });
});
