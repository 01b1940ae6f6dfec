/**
 * MD5's block function (RFC 1321, section 3.4) as a WebAssembly module, for one chain and for two, over the same bytes or others.
 * Each step of MD5 depends on the one before, so the processor computes a second chain while it would wait for the
 * first: two cost little more than one.
 */
import {
  assemble,
  type Code,
  constant,
  type FunctionCode,
  get,
  I32,
  join,
  load,
  NO_VALUE,
  OP,
  set,
  store,
  tee,
} from './assembler.ts';
import { BLOCK_BYTES, stepOf, STEPS } from './md5-steps.ts';

/**
 * Adds whole blocks to the chains.
 *
 * @param state - address of the first chain's four words; the second chain's follow.
 * @param blocks - how many, at least one.
 * @param from - address of each chain's first block.
 */
export type TakeBlocks = (state: number, blocks: number, ...from: number[]) => void;

export interface Md5Module {
  readonly one: TakeBlocks;
  readonly two: TakeBlocks;
}

/** Compiles the module. @param memory - has the states and blocks; shared, and of a fixed size. */
export function instantiateMd5(memory: WebAssembly.Memory): Md5Module {
  const pages = memory.buffer.byteLength / 65_536;
  const module = new WebAssembly.Module(assemble(pages, [blockFunction('one', 1), blockFunction('two', 2)]));
  return new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as Md5Module;
}

/** Indexes of a function's parameters. The addresses of the chains' blocks follow, then its locals: a, b, c, d of each chain. */
const STATE = 0;
const BLOCKS = 1;
const FROM = 2;

const not = (local: number): Code => join(get(local), constant(-1), OP.xor);

/** Adds F, G, H or I to the value on the stack. The halves of G have no bit in common, so each is added as soon as it is known. */
function addMix(round: number, b: number, c: number, d: number): Code {
  switch (round) {
    case 0:
      return join(get(c), get(d), OP.xor, get(b), OP.and, get(d), OP.xor, OP.add);
    case 1:
      return join(not(d), get(c), OP.and, OP.add, get(b), get(d), OP.and, OP.add);
    case 2:
      return join(get(c), get(d), OP.xor, get(b), OP.xor, OP.add);
    default:
      return join(not(d), get(b), OP.or, get(c), OP.xor, OP.add);
  }
}

/** @param words - index of the chain's first local. */
function step(index: number, from: number, words: number): Code {
  const { round, word, rotation, addend, places } = stepOf(index);
  const [a, b, c, d] = places.map((place) => words + place) as [number, number, number, number];
  return join(
    join(get(a), constant(addend), OP.add, get(from), load(word * 4), OP.add),
    addMix(round, b, c, d),
    join(constant(rotation), OP.rotateLeft, get(b), OP.add, set(a)),
  );
}

function blockFunction(name: string, chains: number): FunctionCode {
  const parameters = FROM + chains;
  const all = Array.from({ length: chains }, (_, chain) => ({ from: FROM + chain, words: parameters + chain * 4 }));
  const words = Array.from({ length: chains * 4 }, (_, word) => word);
  const steps = Array.from({ length: STEPS }, (_, index) => all.map(({ from, words: at }) => step(index, from, at)));
  const code = join(
    words.flatMap((word) => join(get(STATE), load(word * 4), set(parameters + word))),
    join(OP.loop, NO_VALUE),
    steps,
    words.flatMap((word) => {
      const sum = join(get(STATE), load(word * 4), get(parameters + word), OP.add, tee(parameters + word));
      return join(get(STATE), sum, store(word * 4));
    }),
    all.flatMap(({ from }) => join(get(from), constant(BLOCK_BYTES), OP.add, set(from))),
    join(get(BLOCKS), constant(1), OP.subtract, tee(BLOCKS), OP.branchIf, 0),
    OP.end,
  );
  return { name, parameters, locals: { count: words.length, type: I32 }, code };
}
