/** The steps on multipart uploads: parts, Complete and its repetition, abort, and parts that are too small. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { codeOf, labelOf, statusOf } from '../errors.ts';
import { addHeaders } from '../objects.ts';
import { type Finding, type Step, StepError } from '../../section.ts';
import { expectDamageRefused, wrongMd5 } from './objects.ts';
import { makeSample, type Sample, type Target } from './target.ts';

const MIB = 1024 * 1024;
const LAST_BYTES = 1000;
/** The most bytes of the first part: a provider may refuse small ones, and takes larger ones. */
const MOST_PART_BYTES = 8 * MIB;
/** Smaller than any provider's smallest part (OSS: 100 KB, S3 and Ceph: 5 MiB). */
const TINY_BYTES = 1000;

interface Multipart {
  key: string;
  id: string;
  etags: string[];
}

export function multipartSteps(target: Target): Step[] {
  const key = `${target.folder}parts`;
  const partBytes = Math.min(target.partBytes, MOST_PART_BYTES);
  let upload: Multipart = { key, id: '', etags: [] };
  let parts: Sample[] = [];
  return [
    {
      name: 'multipart',
      tried: 'CreateMultipartUpload',
      needs: ['bucket'],
      run: async () => {
        upload = await begin(target, key);
        return { found: 'begun' };
      },
    },
    {
      name: 'part',
      tried: `UploadPart of ${showBytes(partBytes)} and ${LAST_BYTES} bytes with Content-MD5`,
      needs: ['multipart'],
      run: async () => {
        parts = [makeSample(partBytes), makeSample(LAST_BYTES)];
        const begun = performance.now();
        for (const part of parts) await sendPart(target, upload, part);
        const seconds = (performance.now() - begun) / 1000;
        return { found: `stored, ${(partBytes / MIB / seconds).toFixed(1)} MiB/s` };
      },
    },
    {
      name: 'Content-MD5 part',
      tried: 'UploadPart with a wrong Content-MD5',
      needs: ['part'],
      run: () =>
        expectDamageRefused(() =>
          sendPart(target, { ...upload, etags: ['', '', ''] }, { ...makeSample(TINY_BYTES), ...wrongMd5() }),
        ),
    },
    {
      name: 'complete',
      tried: 'CompleteMultipartUpload, and reading across the border of the parts',
      needs: ['part'],
      run: async () => {
        await complete(target, upload);
        await expectWhole(target, key, parts);
        return { found: 'one object, with the right bytes' };
      },
    },
    {
      name: 'complete again',
      tried: 'the same CompleteMultipartUpload once more',
      needs: ['complete'],
      run: async () => {
        const answer = await answerTo(() => complete(target, upload));
        await expectWhole(target, key, parts);
        return { found: `${answer}; the object is as it was` };
      },
    },
    {
      name: 'abort',
      tried: 'AbortMultipartUpload of another, and UploadPart after it',
      needs: ['multipart'],
      run: () => abortAnother(target),
    },
    {
      name: 'smallest part',
      tried: `CompleteMultipartUpload of two parts of ${TINY_BYTES} bytes`,
      needs: ['multipart'],
      run: () => completeTiny(target),
    },
  ];
}

/** In MiB, or KiB where it is less. */
function showBytes(bytes: number): string {
  return bytes < MIB ? `${Math.floor(bytes / 1024)} KiB` : `${Number((bytes / MIB).toFixed(1))} MiB`;
}

async function begin(target: Target, key: string): Promise<Multipart> {
  const { client, bucket: Bucket, made } = target;
  // Complete creates the object even where its answer is lost: so the key is recorded now.
  made.keys.add(key);
  const command = new CreateMultipartUploadCommand({ Bucket, Key: key });
  const { UploadId: id } = await target.call((options) => client.send(command, options));
  if (!id) throw new StepError('the answer has no UploadId', 'see whether a proxy changes what passes');
  made.multiparts.set(id, key);
  return { key, id, etags: [] };
}

/** Sends the sample as the next part, and records its ETag. */
async function sendPart(target: Target, upload: Multipart, { bytes, md5Base64 }: Sample): Promise<void> {
  const { client, bucket: Bucket } = target;
  const command = new UploadPartCommand({
    Bucket,
    Key: upload.key,
    UploadId: upload.id,
    PartNumber: upload.etags.length + 1,
    Body: bytes,
    ContentLength: bytes.length,
    ContentMD5: md5Base64,
  });
  const { ETag } = await target.call((options) => client.send(command, options), bytes.length);
  if (!ETag) throw new StepError('the answer has no ETag', 'see whether a proxy drops that header');
  upload.etags.push(ETag);
}

async function complete(target: Target, { key, id, etags }: Multipart): Promise<void> {
  const { client, bucket: Bucket } = target;
  const Parts = etags.map((ETag, index) => ({ PartNumber: index + 1, ETag }));
  const input = { Bucket, Key: key, UploadId: id, MultipartUpload: { Parts } };
  await target.call((options) => client.send(new CompleteMultipartUploadCommand(input), options));
}

async function abort(target: Target, { key, id }: Multipart): Promise<void> {
  const { client, bucket: Bucket } = target;
  const command = new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: id });
  await target.call((options) => client.send(command, options));
}

/** Makes a call that may be refused. @returns the status and code of the answer. @throws the error of a broken connection. */
async function answerTo(attempt: () => Promise<void>): Promise<string> {
  try {
    await attempt();
    return '200';
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    return `${statusOf(error)} ${labelOf(error)}`;
  }
}

async function expectWhole(target: Target, key: string, parts: readonly Sample[]): Promise<void> {
  const { client, bucket: Bucket, preset } = target;
  const whole = Buffer.concat(parts.map(({ bytes }) => bytes));
  const border = parts[0]?.bytes.length ?? 0;
  const [start, end] = [border - 100, border + 99];
  const { ContentLength } = await target.call((options) =>
    client.send(new HeadObjectCommand({ Bucket, Key: key }), options),
  );
  const command = new GetObjectCommand({ Bucket, Key: key, Range: `bytes=${start}-${end}` });
  addHeaders(command, preset.rangeHeaders);
  const read = await target.call(async (options) => (await client.send(command, options)).Body?.transformToByteArray());
  if (ContentLength === whole.length && read && whole.subarray(start, end + 1).equals(read)) return;
  throw new StepError(
    `${ContentLength} bytes, not the ${whole.length} of the parts in their order`,
    'do not use this store: it does not keep what it is given',
  );
}

async function abortAnother(target: Target): Promise<Finding> {
  const upload = await begin(target, `${target.folder}aborted`);
  await sendPart(target, upload, makeSample(TINY_BYTES));
  await abort(target, upload);
  const answer = await answerTo(() => sendPart(target, upload, makeSample(TINY_BYTES)));
  if (answer === '200') {
    const change = 'parts of ended uploads may take room: have a lifecycle rule that ends incomplete multipart uploads';
    return { found: 'ended, but a part was taken afterwards', note: true, change };
  }
  target.made.multiparts.delete(upload.id);
  return { found: `ended; a part afterwards: ${answer}` };
}

async function completeTiny(target: Target): Promise<Finding> {
  const upload = await begin(target, `${target.folder}tiny`);
  for (let part = 0; part < 2; part++) await sendPart(target, upload, makeSample(TINY_BYTES));
  const ours = `the service's parts have ${showBytes(target.partBytes)} and more`;
  try {
    await complete(target, upload);
    return { found: `taken; ${ours}` };
  } catch (error) {
    if (codeOf(error) !== 'EntityTooSmall') throw error;
    return { found: `refused: ${statusOf(error)} ${codeOf(error)}; ${ours}` };
  }
}
