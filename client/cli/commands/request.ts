/** `tidemark request`: makes a link by which anyone can send files into a folder. send.ts sends by one. */
import type { NewUploadLinkJson, UploadLinkJson } from '../../../server/wire/links.ts';
import { ask, type Context } from '../context.ts';
import { CliError, EXIT } from '../errors.ts';
import { formatSize, printable } from '../format.ts';
import { minuteOf } from './links.ts';

export interface RequestOptions {
  /** Null: until it is revoked. */
  expiresInSeconds: number | null;
  password: string | null;
  name: string | null;
  maxBytes: number | null;
  maxFiles: number | null;
  maxFileBytes: number | null;
  types: string[] | null;
}

/** Makes the link, and prints its address. */
export async function runRequest(folder: string, options: RequestOptions, context: Context): Promise<number> {
  const { output, service, signal } = context;
  const { expiresInSeconds, ...others } = options;
  const wanted: NewUploadLinkJson = { kind: 'upload', folder, expiresIn: expiresInSeconds, ...others };
  const link = await ask(context, null, () => service.createLink(wanted, signal));
  if (link.kind !== 'upload') throw new CliError('protocol', 'the service has made a link of another kind');
  if (output.modes.json) {
    output.record(link);
    return EXIT.done;
  }
  output.say(`Into ${printable(link.folder)}/: ${conditionsOf(link)}. The address is shown this once:`);
  output.result(printable(link.url));
  return EXIT.done;
}

function conditionsOf({ expiresAt, maxFiles, maxBytes, maxFileBytes, types, hasPassword }: UploadLinkJson): string {
  return [
    expiresAt === null ? 'until it is revoked' : `until ${minuteOf(expiresAt)}`,
    ...(maxFiles === null ? [] : [maxFiles === 1 ? 'one file' : `${maxFiles} files`]),
    ...(maxBytes === null ? [] : [`${formatSize(maxBytes)} in all`]),
    ...(maxFileBytes === null ? [] : [`${formatSize(maxFileBytes)} each`]),
    ...(types === null ? [] : [`of the types ${types.map(printable).join(', ')}`]),
    ...(hasPassword ? ['with a password'] : []),
  ].join(', ');
}
