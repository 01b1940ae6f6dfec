/** The SDK's client, set up for a preset. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3';
import type { Preset, S3Settings } from './settings.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const MOST_SOCKETS = 256;

/** Agents keep connections: they are to be destroyed with the store. */
export interface ClientSetup {
  config: S3ClientConfig & { bucket: string };
  closeConnections: () => void;
}

// The SDK warns of Node 20 at every start. It runs there; package.json says which version of it does.
// oxlint-disable-next-line node/no-process-env -- there is no other way to tell it
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

export function setUpClient(preset: Preset, settings: S3Settings): ClientSetup {
  const httpAgent = new HttpAgent({ keepAlive: true, maxSockets: MOST_SOCKETS });
  const httpsAgent = new HttpsAgent({ keepAlive: true, maxSockets: MOST_SOCKETS });
  const region = settings.region ?? preset.defaultRegion;
  return {
    config: {
      bucket: settings.bucket,
      ...(settings.endpoint === null ? {} : { endpoint: settings.endpoint }),
      ...(region === null ? {} : { region }),
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      forcePathStyle: settings.pathStyle ?? preset.pathStyle,
      requestChecksumCalculation: preset.checksums,
      responseChecksumValidation: preset.checksums,
      // The SDK does not repeat calls whose body is a stream: retry.ts does, for all of them alike.
      maxAttempts: 1,
      // A refusal ends the sending anyway; asking first costs a round trip per part.
      expectContinueHeader: false,
      // It would write to the console.
      logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
      requestHandler: {
        httpAgent,
        httpsAgent,
        connectionTimeout: CONNECT_TIMEOUT_MS,
        // A download may rest for as long as its reader does; until the answer begins, retry.ts watches the time.
        socketTimeout: 0,
        socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      },
    },
    closeConnections: () => {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

function ignore(): void {
  // What matters is thrown.
}

/** Calls whose body is content. They carry Content-MD5, so that hashing it by SHA-256, too, would prove nothing more. */
const WITH_CONTENT = new Set(['PutObjectCommand', 'UploadPartCommand']);

/** Signs the headers of calls with content, not their bodies (SigV4: UNSIGNED-PAYLOAD). */
export function leaveBodiesUnsigned(client: S3): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const request = args.request as { headers?: Record<string, string> };
      if (request.headers && WITH_CONTENT.has(context.commandName ?? '')) {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(args);
    },
    { step: 'build', name: 'leaveBodiesUnsigned', priority: 'low' },
  );
}
