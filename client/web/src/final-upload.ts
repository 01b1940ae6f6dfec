/** The final upload, which joins the parts of a file (tus 1.0.0, "Concatenation"). */
import { finalHeader, joinAllowanceMs, joinPauseMs } from '../../core/upload-parts.ts';
import { ApiError, check, uploadState } from './api.ts';
import { serviceUrl } from './base.ts';
import { type Course, encodeLabels, locationOf, tellParts } from './part-uploads.ts';
import { pause } from './pause.ts';
import { labelsOf, SILENCE_AT_END_MS } from './transfer.ts';
import { sendTus } from './tus-request.ts';

/**
 * Creates the final upload.
 *
 * @returns the id of the published file where it is known by now: then there need not be a final upload.
 */
export async function createFinal(course: Course, signal: AbortSignal): Promise<string | null> {
  const { about, parts, file } = course;
  if (course.mayHaveFinal) {
    const fileId = await awaitFile(course, signal);
    if (fileId !== null) return fileId;
  }
  course.mayHaveFinal = true;
  tellParts(course);
  const headers = {
    'Upload-Concat': finalHeader(parts.map(({ url }) => url ?? '')),
    'Upload-Metadata': encodeLabels(labelsOf(file, about)),
  };
  const url = serviceUrl('uploads');
  try {
    const answer = await sendTus({ method: 'POST', url, headers, signal, silenceMs: SILENCE_AT_END_MS });
    course.url = locationOf(answer.getHeader('Location'));
    course.mayHaveFinal = false;
    course.events.onUrl(course.url);
    return answer.getHeader('Tidemark-File-Id') ?? null;
  } catch (error) {
    const refused = error instanceof ApiError && error.status >= 400 && error.status !== 502 && error.status !== 504;
    if (refused) {
      course.mayHaveFinal = false;
      tellParts(course);
    }
    // As if it were there, and then gone: the parts are looked at again.
    if (error instanceof ApiError && error.code === 'partial_not_found') return null;
    throw error;
  }
}

/** Waits for the file of a final upload whose answer got lost; null where there is none by the time it would be there. */
async function awaitFile({ about, file }: Course, signal: AbortSignal): Promise<string | null> {
  const until = performance.now() + joinAllowanceMs(file.size);
  for (let looks = 0; ; looks += 1) {
    const { md5, sha256 } = about;
    const known = await check({ md5, sha256, size: file.size });
    if (known.status === 'exists' && known.file) return known.file.id;
    if (performance.now() > until) return null;
    await pause(joinPauseMs(looks), signal);
  }
}

/** Waits until the service has joined the parts; null where the final upload is gone. */
export async function awaitJoined(course: Course, signal: AbortSignal): Promise<{ fileId: string | null } | null> {
  const { url } = course;
  for (let looks = 0; url !== null; looks += 1) {
    course.events.onProgress(course.file.size);
    const state = await uploadState(url);
    if (state === null) return null;
    if (state.fileId !== null || state.isJoined) return { fileId: state.fileId };
    await pause(joinPauseMs(looks), signal);
  }
  return null;
}
