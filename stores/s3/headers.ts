/** Headers for calls whose command has no field for them. */
import type { GetObjectCommand } from '@aws-sdk/client-s3';

/** Adds the headers to a command. */
export function addHeaders(command: GetObjectCommand, headers: Readonly<Record<string, string>>): void {
  if (Object.keys(headers).length === 0) return;
  // All commands accept this middleware, but the types of their stacks have nothing in common.
  const { middlewareStack } = command as Pick<GetObjectCommand, 'middlewareStack'>;
  middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: object }).headers, headers);
      return next(args);
    },
    { step: 'build', name: 'addHeaders' },
  );
}
