/** The policy of a client, as tables: addresses, waits, refusals, new beginnings. */
import { describe, expect, test } from 'vitest';
import { isSameResource, ownPath, readOwnAddress } from '../../client/core/addresses.ts';
import { isBegunFor, mayBeginAnew } from '../../client/core/beginnings.ts';
import { meaningOf, readRefusal } from '../../client/core/refusals.ts';
import { delayAfter, delayInPage, readRetryAfter } from '../../client/core/waits.ts';

const MD5 = '0c767ecf2877c258f62d63e6e1ef572c';
const UUID = '0c767ecf-2877-4258-862d-63e6e1ef572c';

describe('addresses', () => {
  test.each([
    ['http://host/uploads/abc', 'upload', 'abc', '/uploads/abc'],
    ['https://other.example/a/prefix/uploads/abc?x=1', 'upload', 'abc', '/uploads/abc'],
    ['/files/0123', 'content', '0123', '/files/0123'],
    ['http://host/files/0123-1.tar.gz', 'content', '0123-1', '/files/0123-1.tar.gz'],
    ['http://host/api/files/id/content?download', 'file', 'id', '/api/files/id/content'],
    ['http://host/api/files/id', 'file', 'id', '/api/files/id'],
    // A base that ends in /api.
    [`http://host/api/files/${MD5}`, 'content', MD5, `/files/${MD5}`],
    [`http://host/base/api/files/${MD5}-2.tar.gz?download`, 'content', `${MD5}-2`, `/files/${MD5}-2.tar.gz`],
    [`http://host/api/api/files/${UUID}`, 'file', UUID, `/api/files/${UUID}`],
    [`http://host/api/api/files/${UUID}/content`, 'file', UUID, `/api/files/${UUID}/content`],
    ['http://host/api/uploads/abc', 'upload', 'abc', '/uploads/abc'],
  ])('%s is the service’s own', (address, kind, name, path) => {
    expect(readOwnAddress(address)).toEqual({ kind, name, path });
    expect(ownPath(address)).toBe(path);
  });

  test.each([
    'http://host/',
    'http://host/uploads',
    'http://host/elsewhere/abc',
    'http://host/uploads/a/b',
    'http://:',
  ])('%s is not', (address) => {
    expect(ownPath(address)).toBeNull();
  });

  test('the same resource by two hosts is the same; two that are not the service’s never are', () => {
    expect(isSameResource('http://one/uploads/a', 'https://two/behind/uploads/a')).toBe(true);
    expect(isSameResource('http://one/uploads/a', 'http://one/uploads/b')).toBe(false);
    expect(isSameResource('http://one/x', 'http://one/x')).toBe(false);
  });
});

describe('waits', () => {
  test.each([
    [0, 0, {}, 125],
    [0, 1, {}, 250],
    [1, 1, {}, 500],
    [3, 0.5, {}, 1_500],
    [6, 1, {}, 10_000],
    [1_000, 1, {}, 10_000],
    [0, 1, { retryAfterMs: 7_000 }, 7_000],
    [0, 1, { retryAfterMs: 900_000 }, 60_000],
    [0, 1, { retryAfterMs: null }, 250],
    [0, 1, { status: 507 }, 5_000],
    [9, 1, { status: 507 }, 10_000],
    [0, 1, { status: 503 }, 250],
  ])('after %i attempts in vain, chance %f, %o: %i ms', (attempts, random, obstacle, expected) => {
    expect(delayAfter(attempts, random, obstacle)).toBe(expected);
  });

  test('where a user watches, no wait is longer than ten seconds', () => {
    expect(delayInPage(0, 1, { retryAfterMs: 60_000 })).toBe(10_000);
    expect(delayInPage(0, 1, { retryAfterMs: 7_000 })).toBe(7_000);
    expect(delayInPage(1, 1)).toBe(500);
  });

  test.each([
    ['30', 30_000],
    ['0', 0],
    ['Fri, 31 Dec 1999 23:59:59 GMT', null],
    ['-1', null],
    ['', null],
    [undefined, null],
  ])('Retry-After %s: %s', (value, expected) => {
    expect(readRetryAfter(value)).toBe(expected);
  });
});

describe('refusals', () => {
  test.each([
    ['offline', 0, { stall: 'lostLine' }],
    ['unauthorized', 401, { stall: 'needsToken' }],
    ['offset_conflict', 409, { stall: 'busy' }],
    ['upload_taken_over', 423, { stall: 'busy' }],
    ['store_full', 507, { stall: 'full' }],
    ['shutting_down', 503, { stall: 'restarting' }],
    ['unknown', 502, { stall: 'restarting' }],
    ['too_many_uploads', 429, { stall: 'restarting' }],
    ['internal', 500, { stall: 'trouble' }],
    ['request_timeout', 408, { stall: 'trouble' }],
    ['unknown', 522, { stall: 'trouble' }],
    ['unknown', 506, { stall: 'trouble' }],
    ['unknown', 508, { stall: 'trouble' }],
    ['unknown', 511, { stall: 'trouble' }],
    ['unknown', 529, { stall: 'trouble' }],
    ['unknown', 599, { stall: 'trouble' }],
    ['unknown', 505, { stall: null, failure: 'failed' }],
    ['request_too_large', 413, { stall: 'smaller' }],
    ['content_damaged', 500, { stall: null, failure: 'failed' }],
    ['digest_mismatch', 460, { stall: null, failure: 'mismatch' }],
    ['too_large', 413, { stall: null, failure: 'tooLarge' }],
    ['link_bytes_used', 413, { stall: null, failure: 'refused' }],
    ['quota_reached', 413, { stall: null, failure: 'refused' }],
    ['over_quota', 413, { stall: null, failure: 'refused' }],
    ['unknown', 413, { stall: null, failure: 'requestTooLarge' }],
    ['invalid_metadata', 400, { stall: null, failure: 'refused' }],
    ['not_implemented', 501, { stall: null, failure: 'failed' }],
  ])('%s, %i', (code, status, expected) => {
    for (const mayAnew of [true, false]) expect(meaningOf({ code, status }, mayAnew)).toEqual(expected);
  });

  test.each([404, 410])('%i: a lost upload begins anew as long as it may, and is refused then', (status) => {
    expect(meaningOf({ code: 'upload_expired', status }, true)).toEqual({ stall: 'beginAgain' });
    expect(meaningOf({ code: 'upload_expired', status }, false)).toEqual({ stall: null, failure: 'refused' });
  });

  test.each([
    ['{"error":{"code":"not_found","message":"No."}}', { code: 'not_found', message: 'No.' }],
    ['{"error":{"message":"No."}}', { code: 'refused', message: 'No.' }],
    ['{"error":{"code":"not_found"}}', null],
    ['{"error":"no"}', null],
    ['null', null],
    ['<html>', null],
    ['', null],
  ])('the body %s', (body, expected) => {
    expect(readRefusal(body)).toEqual(expected);
  });
});

test('a lost upload is replaced once', () => {
  expect([0, 1, 2].map(mayBeginAnew)).toEqual([true, false, false]);
});

test.each([
  ['AB', 'ab', true],
  ['ab', 'cd', false],
  [null, 'ab', false],
  [undefined, undefined, false],
  ['', '', false],
])('an upload that declared the SHA-256 %s is begun for %s: %s', (declared, own, expected) => {
  expect(isBegunFor(declared, own)).toBe(expected);
});
