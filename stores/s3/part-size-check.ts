/** Checks that a bucket completes an upload of parts as small as the service sends. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { call, type Calling } from './calls.ts';

/**
 * Stores an object of one whole part and a last one of one byte, and removes it again. A provider refuses too small a part only
 * when the upload is completed, at which time clients have sent everything.
 *
 * @param key - an object that nobody else uses.
 * @throws StoreError that says in a sentence what is wrong.
 */
export async function checkPartSize(calling: Calling, key: string, partBytes: number): Promise<void> {
  const { client, bucket: Bucket } = calling;
  const object = { Bucket, Key: key };
  const doing = `trying parts of ${partBytes} bytes`;
  const { UploadId } = await call(calling, doing, (options) =>
    client.send(new CreateMultipartUploadCommand(object), options),
  );
  const multipart = { ...object, UploadId };
  try {
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (const [index, length] of [partBytes, 1].entries()) {
      const part = { PartNumber: index + 1, Body: Buffer.alloc(length), ContentLength: length };
      const { ETag } = await call(calling, doing, (options) =>
        client.send(new UploadPartCommand({ ...multipart, ...part }), options),
      );
      Parts.push({ PartNumber: part.PartNumber, ETag });
    }
    const complete = new CompleteMultipartUploadCommand({ ...multipart, MultipartUpload: { Parts } });
    await call(calling, doing, (options) => client.send(complete, options));
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand(multipart)).catch(() => undefined);
    throw error;
  }
  await call(calling, doing, (options) => client.send(new DeleteObjectCommand(object), options));
}
