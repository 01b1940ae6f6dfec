/** The JSON of a file in the API. */
import type { ContentView, FileView, FolderRecord, Sent } from '../uploads/contract.ts';
import { filePath } from '../wire/addresses.ts';
import type { FileJson, FolderJson, SentByJson } from '../wire/files.ts';

/** The fields of a file that the JSON needs. */
type Described = Omit<FileView, 'content'> & { content: Pick<ContentView, 'size' | 'md5' | 'sha1' | 'sha256'> };

/** @param sent - who has sent it by a link, if anybody. */
export function describeFile(file: Described, baseUrl: string, sent?: Sent): FileJson {
  const { content } = file;
  return {
    id: file.id,
    name: file.name,
    size: content.size,
    md5: content.md5,
    ...(content.sha1 ? { sha1: content.sha1 } : {}),
    ...(content.sha256 ? { sha256: content.sha256 } : {}),
    type: file.type,
    uploadedAt: new Date(file.uploadedAt).toISOString(),
    url: baseUrl + filePath(file),
    ...(sent ? { sentBy: describeSender(sent) } : {}),
  };
}

function describeSender({ linkId, sender, note }: Sent): SentByJson {
  return { link: linkId, name: sender, note };
}

/** The JSON of a folder in the API. */
export function describeFolder({ path, files, bytes }: FolderRecord): FolderJson {
  return { name: path, files, bytes };
}
