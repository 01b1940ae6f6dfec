/**
 * Methods that something on the way blocks. Once one was refused, the page sends all of them as POST (tus 1.0.0,
 * "X-HTTP-Method-Override") until it is closed. The service accepts that only for uploads.
 */
import { isMethodRefusal } from '../../core/refusals.ts';

let isOverriding = false;

export interface Saying {
  method: string;
  headers: Record<string, string>;
}

/** The method and headers with which to send a request of this method now. */
export function sayMethod(method: string): Saying {
  if (!isOverriding || method === 'POST') return { method, headers: {} };
  return { method: 'POST', headers: { 'X-HTTP-Method-Override': method } };
}

/** Takes note of a refusal. @returns whether to send the request once more, as POST. */
export function isToBeSaidByPost(said: Saying, status: number): boolean {
  if (!isMethodRefusal(said.method, status)) return false;
  isOverriding = true;
  return true;
}
