/**
 * MD5's block function for many chains over different bytes, as a WebAssembly module that uses SIMD: a vector has one word
 * of each of four chains. Each step depends on the one before, so two or three such groups, in turns, cost little more
 * than one. A fourth group has no room in the processor's 16 vector registers.
 */
import {
  assemble,
  type Code,
  constant,
  type FunctionCode,
  get,
  join,
  loadSplat,
  loadVector,
  NO_VALUE,
  OP,
  set,
  shuffle,
  storeVector,
  tee,
  V128,
  vector,
} from './assembler.ts';
import { BLOCK_BYTES, stepOf, STEPS } from './md5-steps.ts';

/** Chains of one vector. */
const GROUP = 4;
/** How many chains the functions have. */
const CHAINS = { eight: 2 * GROUP, twelve: 3 * GROUP } as const;
/** With fewer chains, `Md5Module` is faster. */
export const FEWEST_LANES = 5;
/** The most chains at once. */
export const MOST_CHAINS = CHAINS.twelve;
const VECTOR_BYTES = 16;
const GROUP_BYTES = 4 * VECTOR_BYTES;

/** Addresses in the scratch memory: of the steps' addends; of the chains; and of a block of each chain. */
const ADDENDS_AT = 0;
/** Of each group, a, b, c and d: vectors of one word of each chain. */
const CHAINS_AT = ADDENDS_AT + STEPS * 4;
/** Of each group, the 16 words of its blocks: vectors of one word of each block. */
const WORDS_AT = CHAINS_AT + (MOST_CHAINS / GROUP) * GROUP_BYTES;
/** How much scratch memory the module needs. */
export const LANES_SCRATCH_BYTES = WORDS_AT + MOST_CHAINS * BLOCK_BYTES;

/** Adds whole blocks to chains of different bytes. */
export interface Md5Lanes {
  /**
   * Adds the same number of blocks to each of five to twelve chains.
   *
   * @param chains - each with its four words.
   * @param from - address of each chain's first block.
   * @param blocks - how many, at least one.
   */
  take(chains: readonly Uint32Array[], from: readonly number[], blocks: number): void;
}

type TakeBlocks = (scratch: number, blocks: number, ...from: number[]) => void;

/** Whether WebAssembly has SIMD here. */
export function isSimdThere(): boolean {
  const code = join(constant(0), loadVector(0), constant(0), loadVector(0), vector('add'), set(0));
  return WebAssembly.validate(assemble(1, [{ name: 'try', parameters: 0, locals: { count: 1, type: V128 }, code }]));
}

/**
 * Compiles the module. Only where `isSimdThere`.
 *
 * @param memory - has the blocks; shared, and of a fixed size.
 * @param scratch - address of `LANES_SCRATCH_BYTES` of the memory that nothing else uses.
 */
export function instantiateMd5Lanes(memory: WebAssembly.Memory, scratch: number): Md5Lanes {
  const pages = memory.buffer.byteLength / 65_536;
  const functions = Object.entries(CHAINS).map(([name, chains]) => lanesFunction(name, chains / GROUP));
  const module = new WebAssembly.Module(assemble(pages, functions));
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  const { eight, twelve } = exports as unknown as Record<keyof typeof CHAINS, TakeBlocks>;
  const addends = new Int32Array(memory.buffer, scratch + ADDENDS_AT, STEPS);
  for (let index = 0; index < STEPS; index++) addends[index] = addendOf(index);
  const words = new Uint32Array(memory.buffer, scratch + CHAINS_AT, MOST_CHAINS * 4);
  /** Where a chain's word is. */
  const at = (chain: number, word: number): number => (chain - (chain % GROUP) + word) * GROUP + (chain % GROUP);

  return {
    take: (chains, from, blocks) => {
      const isEight = chains.length <= CHAINS.eight;
      chains.forEach((chain, index) => chain.forEach((word, place) => (words[at(index, place)] = word)));
      // Chains that are not used compute on the first one's bytes: nobody reads the result.
      const all = Array.from({ length: isEight ? CHAINS.eight : CHAINS.twelve }, (_, i) => from[i] ?? from[0] ?? 0);
      (isEight ? eight : twelve)(scratch, blocks, ...all);
      chains.forEach((chain, index) => chain.forEach((_, place) => (chain[place] = words[at(index, place)] ?? 0)));
    },
  };
}

/** The last 16 steps subtract their mix's complement, -1 - mix, which saves an instruction. */
function addendOf(index: number): number {
  const { round, addend } = stepOf(index);
  return round === 3 ? (addend - 1) | 0 : addend;
}

/** How many locals transposing takes; the steps take one for each group. */
const SPARE = 6;
/** Indexes of a function's parameters. The addresses of the blocks follow, then the locals: a, b, c, d of each group, and spare ones. */
const SCRATCH = 0;
const BLOCKS = 1;
const FROM = 2;

/** The indexes of a function's locals. */
interface Locals {
  from: (chain: number) => number;
  letter: (group: number, place: number) => number;
  spare: (index: number) => number;
}

/** Adds F, G, H or I to the value on the stack. The halves of G have no bit in common, so each is added as soon as it is known. */
function addMix(round: number, b: number, c: number, d: number): Code {
  switch (round) {
    case 0:
      return join(get(c), get(d), vector('xor'), get(b), vector('and'), get(d), vector('xor'), vector('add'));
    case 1:
      return join(get(c), get(d), vector('andNot'), vector('add'), get(b), get(d), vector('and'), vector('add'));
    case 2:
      return join(get(c), get(d), vector('xor'), get(b), vector('xor'), vector('add'));
    default:
      return join(get(d), get(b), vector('andNot'), get(c), vector('xor'), vector('subtract'));
  }
}

function step(index: number, group: number, { letter, spare }: Locals): Code {
  const { round, word, rotation, places } = stepOf(index);
  const [a, b, c, d] = places.map((place) => letter(group, place)) as [number, number, number, number];
  const sum = spare(group);
  return join(
    join(get(SCRATCH), loadSplat(ADDENDS_AT + index * 4), get(SCRATCH), loadVector(wordAt(group, word))),
    join(vector('add'), get(a), vector('add')),
    join(addMix(round, b, c, d), set(sum)),
    join(get(sum), constant(rotation), vector('shiftLeft'), get(sum), constant(32 - rotation), vector('shiftRight')),
    join(vector('or'), get(b), vector('add'), set(a)),
  );
}

function wordAt(group: number, word: number): number {
  return WORDS_AT + (group * 16 + word) * VECTOR_BYTES;
}

function letterAt(group: number, place: number): number {
  return CHAINS_AT + group * GROUP_BYTES + place * VECTOR_BYTES;
}

/** Writes four words of the blocks of a group's four chains as vectors of one word of each. */
function transpose(group: number, firstWord: number, { from, spare }: Locals): Code {
  const rows = [0, 1, 2, 3].map((row) =>
    join(get(from(group * GROUP + row)), loadVector(firstWord * 4), set(spare(row))),
  );
  const low = [0, 4, 1, 5];
  const high = [2, 6, 3, 7];
  const pair = (halves: number[], row: number): Code => join(get(spare(row)), get(spare(row + 1)), shuffle(halves));
  // The pairs of rows 0 and 1, and of 2 and 3, by halves; then the halves of both pairs.
  const halves = [low, high].flatMap((half, index) => {
    const both = join(pair(half, 0), set(spare(4)), pair(half, 2), set(spare(5)));
    const word = (offset: number, words: number[]): Code =>
      join(
        get(SCRATCH),
        get(spare(4)),
        get(spare(5)),
        shuffle(words),
        storeVector(wordAt(group, firstWord + index * 2 + offset)),
      );
    return join(both, word(0, [0, 1, 4, 5]), word(1, [2, 3, 6, 7]));
  });
  return join(rows, halves);
}

function lanesFunction(name: string, groups: number): FunctionCode {
  const parameters = FROM + groups * GROUP;
  const locals: Locals = {
    from: (chain) => FROM + chain,
    letter: (group, place) => parameters + group * 4 + place,
    spare: (index) => parameters + groups * 4 + index,
  };
  const all = Array.from({ length: groups }, (_, group) => group);
  const letters = all.flatMap((group) => [0, 1, 2, 3].map((place) => [group, place] as const));
  const chains = Array.from({ length: groups * GROUP }, (_, chain) => chain);
  const code = join(
    letters.flatMap(([group, place]) =>
      join(get(SCRATCH), loadVector(letterAt(group, place)), set(locals.letter(group, place))),
    ),
    join(OP.loop, NO_VALUE),
    all.map((group) => [0, 4, 8, 12].map((word) => transpose(group, word, locals))),
    Array.from({ length: STEPS }, (_, index) => all.map((group) => step(index, group, locals))),
    letters.flatMap(([group, place]) => {
      const local = locals.letter(group, place);
      const sum = join(get(SCRATCH), loadVector(letterAt(group, place)), get(local), vector('add'), tee(local));
      return join(get(SCRATCH), sum, storeVector(letterAt(group, place)));
    }),
    chains.flatMap((chain) => join(get(locals.from(chain)), constant(BLOCK_BYTES), OP.add, set(locals.from(chain)))),
    join(get(BLOCKS), constant(1), OP.subtract, tee(BLOCKS), OP.branchIf, 0),
    OP.end,
  );
  return { name, parameters, locals: { count: groups * 4 + SPARE, type: V128 }, code };
}
