/** The SDK's client, set up for a preset. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3';
import type { Agents } from './exchange.ts';
import type { Preset, S3Settings } from './settings.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/** The SDK's configuration, its connections, and how to close those that are kept. */
export interface ClientSetup {
  config: S3ClientConfig & { bucket: string };
  agents: Agents;
  closeConnections: () => void;
}

// The SDK warns about Node 20 at every start, although the version in package.json supports it.
// oxlint-disable-next-line node/no-process-env -- there is no other way to tell it
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

/** Makes the configuration of a client. */
export function setUpClient(preset: Preset, settings: S3Settings): ClientSetup {
  // No limit: downloads may pause, and each needs a connection; memory limits the parts being sent.
  const httpAgent = new HttpAgent({ keepAlive: true, maxSockets: Infinity });
  const httpsAgent = new HttpsAgent({ keepAlive: true, maxSockets: Infinity });
  // With this option, the SDK expects the endpoint in place of the bucket's name.
  const bucketEndpoint = settings.endpointIsBucket && settings.endpoint !== null;
  const region = settings.region ?? preset.defaultRegion;
  return {
    config: {
      bucket: settings.bucket,
      bucketEndpoint,
      ...(settings.endpoint === null || bucketEndpoint ? {} : { endpoint: settings.endpoint }),
      ...(region === null ? {} : { region }),
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      forcePathStyle: settings.pathStyle ?? preset.pathStyle,
      requestChecksumCalculation: preset.checksums,
      responseChecksumValidation: preset.checksums,
      // The SDK does not retry calls whose body is a stream: retry.ts retries all calls alike.
      maxAttempts: 1,
      // A refusal stops the sending anyway; waiting for 100 Continue would cost a round trip per part.
      expectContinueHeader: false,
      // The default logger writes to the console.
      logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
      requestHandler: {
        httpAgent,
        httpsAgent,
        connectionTimeout: CONNECT_TIMEOUT_MS,
        // A download may pause for as long as its reader does. Until the answer begins, retry.ts limits the time.
        socketTimeout: 0,
        socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      },
    },
    agents: { httpAgent, httpsAgent },
    closeConnections: () => {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

function ignore(): void {
  // The SDK throws its errors, too.
}

/** Calls whose body is content. They carry Content-MD5, so that a SHA-256 of the body would prove nothing more. */
const WITH_CONTENT = new Set(['PutObjectCommand', 'UploadPartCommand']);

/** The value of `Bucket` in calls. */
export function bucketOf({ bucket, endpoint, endpointIsBucket }: S3Settings): string {
  return endpointIsBucket && endpoint !== null ? endpoint : bucket;
}

/** Signs the headers of calls with content, not their bodies (SigV4: UNSIGNED-PAYLOAD), as `sender.ts` does. */
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
