/** `tidemark quota`: what there is room for, and what takes it up. */
import type { LimitJson, QuotaJson } from '../../../server/wire/quota.ts';
import { ask, type Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { formatSize } from '../format.ts';

/** Prints what the owner has and may have. */
export async function runQuota(context: Context): Promise<number> {
  const { output, service, signal } = context;
  const quota = await ask(context, null, () => service.quota(signal));
  if (output.modes.json) output.record(quota);
  else for (const line of linesOf(quota)) output.result(line);
  return EXIT.done;
}

function linesOf({ bytes, files, openUploads, of }: QuotaJson): string[] {
  return [
    `${lineOf('Bytes', bytes, formatSize)}${shares(formatSize(of.trash.bytes), formatSize(of.uploads.bytes))}`,
    `${lineOf('Files', files, String)}${shares(String(of.trash.files), String(of.uploads.files))}`,
    lineOf('Unfinished uploads', openUploads, String),
  ];
}

function lineOf(name: string, { used, limit }: LimitJson, format: (value: number) => string): string {
  const most = limit === null ? '' : ` of ${format(limit)}, ${percent(used, limit)}`;
  return `${`${name}:`.padEnd(20)}${format(used)}${most}`;
}

function percent(used: number, limit: number): string {
  return `${limit === 0 ? 100 : Math.floor((used / limit) * 100)} %`;
}

function shares(trash: string, uploads: string): string {
  return ` (${trash} in the trash, ${uploads} in unfinished uploads)`;
}
