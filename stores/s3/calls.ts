/** How calls to the bucket are made: with retries, with time limits, and with their errors translated. */
import type { S3 } from '@aws-sdk/client-s3';
import type { Surroundings } from '../surroundings.ts';
import { toStoreError } from './errors.ts';
import { type CallOptions, callWithRetries } from './retry.ts';
import type { Sender } from './sender.ts';
import type { Preset } from './settings.ts';

/** The time limit of an attempt to send content; a connection on which nothing moves is closed long before. */
const SENDING_TIMEOUT_MS = 3_600_000;

/** `sender`: for calls with content. */
export interface Clients {
  client: S3;
  sender: Sender;
}

/** One attempt at a call. */
export type Attempt<T> = (options: { abortSignal: AbortSignal }) => Promise<T>;

/** The bucket, and how it is called. */
export interface Calling extends Clients {
  /** As `bucketOf` returns it. */
  readonly bucket: string;
  /** The bucket's own name, also where it is addressed by a domain. */
  readonly bucketName: string;
  readonly preset: Preset;
  readonly surroundings: Surroundings;
  /** Aborts all calls. */
  readonly closing: AbortSignal;
  /** Options for calls without options of their own. */
  readonly patience: CallOptions;
}

/** Makes a call, retries it where that helps, and translates its error. */
export async function call<T>(
  { closing, surroundings, patience }: Calling,
  doing: string,
  attempt: Attempt<T>,
  options: CallOptions = {},
): Promise<T> {
  try {
    return await callWithRetries((abortSignal) => attempt({ abortSignal }), {
      signal: closing,
      surroundings,
      ...patience,
      ...options,
    });
  } catch (error) {
    throw toStoreError(error, doing);
  }
}

/** Bytes in memory, with their MD5. */
export interface Body {
  bytes: Uint8Array;
  md5: string;
  /** Called when a call with them failed: its connection may still be reading them. */
  onFailure: () => void;
}

/** Makes a call with content, whose time depends on the speed of the connection. */
export function sendBody<T>(
  calling: Calling,
  doing: string,
  { onFailure }: Body,
  attempt: Attempt<T>,
  signal?: AbortSignal,
): Promise<T> {
  async function watched(options: { abortSignal: AbortSignal }): Promise<T> {
    try {
      return await attempt(options);
    } catch (error) {
      onFailure();
      throw error;
    }
  }
  return call(calling, doing, watched, { timeoutMs: SENDING_TIMEOUT_MS, ...(signal ? { signal } : {}) });
}
