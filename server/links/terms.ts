/** The terms of upload links: what their owners may say, and what they mean for a file that somebody wants to send. */
import type { Declaration } from '../catalog/catalog.ts';
import type { UploadLimits, UploadTerms } from '../catalog/sent-uploads.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkName, extensionOf, typeOfName } from '../uploads/names.ts';
import { cleanName } from '../wire/labels.ts';
import { LinkError } from './errors.ts';

/** Of the path of a link's folder, so that there is room for the names below it. */
const MOST_FOLDER_BYTES = 1024;
const MOST_FOLDER_PARTS = 50;
export const MOST_TYPES = 50;

/** An extension, or a media type, whose second part may be any. */
const EXTENSION = /^\.[a-z0-9]{1,16}$/;
const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/(?:\*|[a-z0-9][\w!#$&^.+-]{0,126})$/;

/** Checks the terms that an owner gives. @returns them as they are recorded. @throws `invalid_field`. */
export function checkTerms({ folder, types, ...limits }: UploadTerms): UploadTerms {
  return { ...limits, folder: checkFolder(folder), types: types === null ? null : checkTypes(types) };
}

function checkFolder(given: string): string {
  const folder = checkName(given.replace(/\/$/, ''), 'folder');
  if (Buffer.byteLength(folder) > MOST_FOLDER_BYTES)
    throw invalidField('folder', `folder must be at most ${MOST_FOLDER_BYTES} bytes long in UTF-8.`);
  if (folder.split('/').length > MOST_FOLDER_PARTS)
    throw invalidField('folder', `folder must be at most ${MOST_FOLDER_PARTS} folders deep.`);
  return folder;
}

function checkTypes(given: readonly string[]): string[] {
  const types = [...new Set(given.map((type) => type.trim().toLowerCase()))];
  const wrong = types.find((type) => !EXTENSION.test(type) && !MEDIA_TYPE.test(type));
  if (types.length === 0 || types.length > MOST_TYPES || wrong !== undefined) {
    throw invalidField(
      'types',
      `types must be a list of 1 to ${MOST_TYPES} extensions or media types, as in .pdf, image/* and text/plain.`,
    );
  }
  return types;
}

/**
 * What is recorded of a file that somebody sends: its name is below the link's folder, and it replaces nothing.
 *
 * @param id - of the upload, for a file without a name.
 */
export function declarationBelow(
  { folder }: Pick<UploadTerms, 'folder'>,
  declared: Declaration,
  id: string,
): Declaration {
  const filename = cleanName([folder, declared.filename ?? declared.md5 ?? id].join('/'));
  // The folder has been checked: of a path that is too long, what is below it goes.
  if (!filename?.startsWith(`${folder}/`)) throw new Error(`the name of a sent file is not below ${folder}`);
  return { ...declared, filename, onConflict: null };
}

/** The name of a sent file as its sender knows it. */
export function nameBelow({ folder }: Pick<UploadTerms, 'folder'>, filename: string | null): string | null {
  return filename?.startsWith(`${folder}/`) ? filename.slice(folder.length + 1) : filename;
}

/** @throws LinkError `link_type_refused`, `link_file_too_large`. */
export function refuseUnlessTaken(
  terms: UploadTerms,
  { filename, filetype, size }: Pick<Declaration, 'filename' | 'filetype' | 'size'>,
  linkId: string,
): void {
  const { types } = terms;
  if (types !== null && !types.some((type) => isOfType(type, filename ?? '', filetype))) {
    throw new LinkError('link_type_refused', {
      linkId,
      field: 'filetype',
      message: `This link takes no files of this type, by name or media type, but: ${types.join(', ')}.`,
    });
  }
  if (size !== null) refuseTooLarge(terms, size, linkId);
}

/** Where the name has a known type, that counts: by it the file is opened. */
function isOfType(wanted: string, filename: string, declared: string | null): boolean {
  if (wanted.startsWith('.')) return extensionOf(filename) === wanted;
  const type = (typeOfName(filename) ?? declared?.split(';', 1)[0]?.trim() ?? '').toLowerCase();
  return wanted.endsWith('/*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted;
}

/** @throws LinkError `link_file_too_large`. */
export function refuseTooLarge(
  { mostFileBytes }: Pick<UploadLimits, 'mostFileBytes'>,
  size: number,
  linkId: string,
): void {
  if (mostFileBytes !== null && size > mostFileBytes) throw fileTooLarge(mostFileBytes, linkId);
}

export function fileTooLarge(mostFileBytes: number, linkId: string): LinkError {
  return new LinkError('link_file_too_large', {
    linkId,
    field: 'size',
    message: `This link takes files of at most ${mostFileBytes} bytes each.`,
  });
}
