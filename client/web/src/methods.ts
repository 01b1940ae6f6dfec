/**
 * Methods that something on the way does not let through. Once one was refused, POST says them
 * (tus 1.0.0, "X-HTTP-Method-Override"), for as long as the page is open. The service understands
 * it of uploads alone.
 */
import { isMethodRefusal } from '../../core/refusals.ts';

let isOverriding = false;

export interface Saying {
  method: string;
  headers: Record<string, string>;
}

/** How a method is said at present. */
export function sayMethod(method: string): Saying {
  if (!isOverriding || method === 'POST') return { method, headers: {} };
  return { method: 'POST', headers: { 'X-HTTP-Method-Override': method } };
}

/** @returns whether it is worth saying the method once more, by POST. */
export function isToBeSaidByPost(said: Saying, status: number): boolean {
  if (!isMethodRefusal(said.method, status)) return false;
  isOverriding = true;
  return true;
}
