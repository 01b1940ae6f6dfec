/** The table of an upload's states in the page. */
import { describe, expect, test } from 'vitest';
import {
  nextToHash,
  nextToSend,
  sendingAtOnce,
  type ItemStanding,
  type State,
  stateAfter,
} from '../../client/core/upload-states.ts';

const UNDER_WAY: State[] = ['queued', 'hashing', 'ready', 'checking', 'asking', 'sending', 'paused', 'stalled'];
const OVER: State[] = ['instant', 'done', 'failed'];

function standing(state: State, sha256: string | null = null, size = 1): ItemStanding {
  return { state, md5: sha256, sha256, size };
}

describe('steps', () => {
  test('the way of a file that is sent', () => {
    const item = standing('queued');
    const seen: (State | null)[] = [];
    for (const step of ['hash', 'digested', 'ask', 'send', 'finish'] as const) {
      const state = stateAfter(step, item);
      seen.push(state);
      item.state = state ?? item.state;
    }
    expect(seen).toEqual(['hashing', 'ready', 'checking', 'sending', 'done']);
  });

  test('an upload that is resumed is read first, unless its digests are known', () => {
    for (const [step, state] of [
      ['resume', 'paused'],
      ['wake', 'stalled'],
      ['retry', 'failed'],
      ['continue', 'interrupted'],
    ] as const) {
      expect([stateAfter(step, { state, md5: null }), stateAfter(step, { state, md5: 'a' })]).toEqual([
        'queued',
        'ready',
      ]);
    }
  });

  test('a pause holds: what was paused while it was read stays so when its digests are known', () => {
    expect(stateAfter('digested', standing('paused'))).toBe('paused');
    expect(stateAfter('wake', standing('paused'))).toBeNull();
  });

  test('one about which the user is asked waits for its turn again once there is an answer', () => {
    expect(stateAfter('question', standing('checking', 'a'))).toBe('asking');
    expect(stateAfter('answer', standing('asking', 'a'))).toBe('ready');
    expect(stateAfter('answer', standing('paused', 'a'))).toBeNull();
  });

  test('whatever is under way can wait, fail and be done; it is paused once', () => {
    for (const state of UNDER_WAY) {
      expect(stateAfter('stall', standing(state))).toBe('stalled');
      expect(stateAfter('fail', standing(state))).toBe('failed');
      expect(stateAfter('finish', standing(state))).toBe('done');
      expect(stateAfter('pause', standing(state))).toBe(state === 'paused' ? null : 'paused');
    }
  });

  test('what is over stays so, but for a failure that is tried again', () => {
    for (const step of ['hash', 'digested', 'ask', 'send', 'stall', 'wake', 'pause', 'resume', 'finish'] as const) {
      for (const state of OVER) expect([step, stateAfter(step, standing(state))]).toEqual([step, null]);
    }
    expect(stateAfter('fail', standing('done'))).toBeNull();
    expect(stateAfter('retry', standing('done'))).toBeNull();
  });

  test('one of an earlier life waits for its file, and is done where the service had it whole', () => {
    expect(stateAfter('finish', standing('interrupted'))).toBe('done');
    for (const step of ['hash', 'send', 'wake', 'pause', 'stall'] as const) {
      expect(stateAfter(step, standing('interrupted'))).toBeNull();
    }
  });
});

describe('whose turn it is', () => {
  test('one is read at a time, the first that waits', () => {
    const [first, second] = [standing('queued'), standing('queued')];
    expect(nextToHash([standing('paused'), first, second])).toBe(first);
    expect(nextToHash([standing('hashing'), first])).toBeUndefined();
  });

  test('three are sent at a time, the same bytes one after the other', () => {
    const ready = ['a', 'b', 'b', 'c', 'd'].map((sha256) => standing('ready', sha256));
    expect(nextToSend(ready, 3).map(({ sha256 }) => sha256)).toEqual(['a', 'b', 'c']);
    expect(nextToSend([standing('sending', 'a'), standing('checking', 'x'), ...ready], 3)).toEqual([ready[1]]);
    expect(nextToSend([standing('sending', 'b', 2), standing('ready', 'b', 1)], 3)).toHaveLength(1);
    // Those about which the user is asked take nobody's turn.
    expect(nextToSend([standing('asking', 'x'), standing('asking', 'y'), ...ready], 3)).toHaveLength(3);
  });
});

test.each([
  [1, '', { files: 3, streams: 1 }],
  [1, 'h2', { files: 3, streams: 1 }],
  [2, 'http/1.1', { files: 2, streams: 2 }],
  [3, 'http/1.1', { files: 1, streams: 3 }],
  [8, 'http/1.1', { files: 1, streams: 4 }],
  [8, '', { files: 1, streams: 4 }],
  [8, 'h2', { files: 3, streams: 8 }],
  [5, 'h3', { files: 3, streams: 5 }],
])('%d connections for each file, over %j: %j', (wanted, protocol, expected) => {
  expect(sendingAtOnce(wanted, protocol)).toEqual(expected);
});
