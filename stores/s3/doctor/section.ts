/** The doctor's section on a bucket: all its steps in order, and the removal of what they made. */
import { AbortMultipartUploadCommand, DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { describe, explain, labelOf, statusOf } from '../errors.ts';
import { callWithRetries } from '../retry.ts';
import type { Preset, S3Settings } from '../settings.ts';
import { type Finding, type Section, type Step, StepError } from '../../section.ts';
import { accessSteps } from './access.ts';
import { addressSteps } from './address.ts';
import { multipartSteps } from './multipart.ts';
import { objectSteps } from './objects.ts';
import { openTarget, type Target } from './target.ts';

export async function bucketSection(preset: Preset, settings: S3Settings, signal: AbortSignal): Promise<Section> {
  const target = openTarget(preset, settings, signal);
  const objects = objectSteps(target);
  const last = objects.findIndex(({ name }) => name === 'delete');
  return {
    steps: [
      ...addressSteps(await target.url()),
      ...accessSteps(target),
      ...objects.slice(0, last),
      ...multipartSteps(target),
      ...objects.slice(last),
      cleaning(target),
    ],
    gate: 'bucket',
    explain: explainRefusal,
    close: () => target.close(),
  };
}

function explainRefusal(error: unknown): { found: string; change: string } {
  const sentence = explain(error);
  if (sentence === undefined) {
    return { found: describe(error), change: 'see what the provider says of this answer, or its log' };
  }
  const status = statusOf(error);
  const label = labelOf(error);
  return { found: status === undefined || label.startsWith('HTTP') ? label : `${status} ${label}`, change: sentence };
}

function cleaning(target: Target): Step {
  return {
    name: 'cleaning',
    tried: `removing what is under ${target.folder}`,
    needs: ['bucket'],
    always: true,
    run: () => clean(target),
  };
}

/** Does not use `target.call`: the cleanup must also run after an interruption, and retries. */
async function clean({ client, bucket: Bucket, folder, made }: Target): Promise<Finding> {
  const failures: unknown[] = [];
  async function remove(action: (abortSignal: AbortSignal) => Promise<unknown>): Promise<void> {
    try {
      await callWithRetries(action);
    } catch (error) {
      if (statusOf(error) !== 404) failures.push(error);
    }
  }

  for (const [UploadId, Key] of made.multiparts) {
    const command = new AbortMultipartUploadCommand({ Bucket, Key, UploadId });
    await remove((abortSignal) => client.send(command, { abortSignal }));
  }
  for (const Key of made.keys) {
    const command = new DeleteObjectCommand({ Bucket, Key });
    await remove((abortSignal) => client.send(command, { abortSignal }));
  }
  const command = new ListObjectsV2Command({ Bucket, Prefix: folder });
  const { Contents = [] } = await callWithRetries((abortSignal) => client.send(command, { abortSignal }));
  const [failure] = failures;
  if (failure === undefined && Contents.length === 0) return { found: 'nothing is left' };
  const { found, change } = failure === undefined ? { found: '', change: '' } : explainRefusal(failure);
  throw new StepError(
    `${Contents.length} objects are left${failure === undefined ? '' : `: ${found}`}`,
    change === '' ? `remove what is under ${folder}` : `${change}; then remove what is under ${folder}`,
  );
}
