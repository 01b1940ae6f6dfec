/** The refusals of the double: code, HTTP status, sentence. */
import { element, renderXml } from './xml.ts';

const CATALOGUE = {
  AccessDenied: [403, 'The request is not allowed.'],
  EntityTooSmall: [400, 'A part but the last is smaller than 100 KB.'],
  FileAlreadyExists: [409, 'The object exists, and x-oss-forbid-overwrite was sent.'],
  InternalError: [500, 'The double itself failed.'],
  InvalidAccessKeyId: [403, 'The access key is not known.'],
  InvalidArgument: [400, 'An argument is not valid.'],
  InvalidDigest: [400, 'The Content-MD5 is not that of the body.'],
  InvalidObjectName: [400, 'A key has 1 to 1023 bytes and starts with neither / nor \\.'],
  InvalidPart: [400, 'A part is not there, or its ETag is another.'],
  InvalidPartOrder: [400, 'The parts are not in ascending order of 1 to 10000.'],
  InvalidRange: [416, 'The range cannot be met.'],
  InvalidURI: [400, 'The path cannot be decoded.'],
  MalformedXML: [400, 'The body is not the XML that was expected.'],
  MissingArgument: [400, 'An argument is missing.'],
  MissingContentLength: [411, 'Neither a length nor chunked.'],
  NoSuchBucket: [404, 'There is no such bucket.'],
  NoSuchKey: [404, 'There is no such object.'],
  NoSuchUpload: [404, 'There is no such upload; it may have been completed or aborted.'],
  NotImplemented: [400, 'A header or a query implies what is not implemented.'],
  PreconditionFailed: [412, 'The object is another.'],
  PublicEndpointForbidden: [400, 'The public endpoint is forbidden; use a domain of your own.'],
  RequestTimeTooSkewed: [403, 'The clocks are more than 15 minutes apart.'],
  SecondLevelDomainForbidden: [403, 'The bucket has to be addressed by a third-level domain.'],
  SignatureDoesNotMatch: [403, 'The signature is not the one calculated here.'],
  XAmzContentSHA256Mismatch: [400, 'The x-amz-content-sha256 is not that of the body.'],
} satisfies Record<string, [status: number, message: string]>;

export type OssCode = keyof typeof CATALOGUE;

export class OssError extends Error {
  readonly code: OssCode;
  readonly status: number;

  constructor(code: OssCode, message?: string, status?: number) {
    super(message ?? CATALOGUE[code][1]);
    this.code = code;
    this.status = status ?? CATALOGUE[code][0];
  }

  toXml(requestId: string, host: string): string {
    return renderXml(
      element(
        'Error',
        element('Code', this.code),
        element('Message', this.message),
        element('RequestId', requestId),
        element('HostId', host),
        // OSS has a number for each cause. No client uses it, so the double has a single one.
        element('EC', '0000-00000000'),
      ),
    );
  }
}
