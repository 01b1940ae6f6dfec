/** Reads the address of a link from standard input: as an argument, all who can list the processes of the machine see it. */
import { createInterface } from 'node:readline';
import { type LinkAddress, readLinkAddress } from '../core/addresses.ts';
import { UsageError } from './errors.ts';

/** @throws UsageError where the first line is no address of a link. */
export async function readLinkFromInput(): Promise<LinkAddress> {
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) {
      const link = readLinkAddress(line);
      if (link) return link;
      break;
    }
  } finally {
    lines.close();
    // Open, it would keep the command running.
    process.stdin.pause();
  }
  throw new UsageError('The first line of standard input is not the address of a link.');
}
