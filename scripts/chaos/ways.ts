/** The ways by which clients of a run upload: all that the service speaks, in turns that a seed decides. */
import { uploadByPartials } from './concatenating-client.ts';
import type { Plan, Run } from './requests.ts';
import { type Sent, upload } from './resuming-client.ts';
import { uploadByRufh } from './rufh-client.ts';

/** Uploads a whole file in a way that the dice choose. */
export function uploadInSomeWay(run: Run, plan: Plan): Promise<Sent> {
  const way = plan.dice.between(1, 8);
  if (way <= 2) return upload(run, { ...plan, isChecksummed: true });
  if (way <= 4) return uploadByPartials(run, plan);
  if (way <= 6) return uploadByRufh(run, plan);
  return upload(run, plan);
}
