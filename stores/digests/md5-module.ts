/**
 * MD5's block function (RFC 1321, section 3.4) as a WebAssembly module, for one chain and for two over the same bytes.
 * Each step of MD5 depends on the one before, so the processor computes a second chain while it would wait for the
 * first: two cost little more than one.
 */

/** Length of a block. */
export const BLOCK_BYTES = 64;

/**
 * Adds whole blocks to one chain, or to two.
 *
 * @param state - address of the chain's four words; the second chain's follow.
 * @param from - address of the first block.
 */
export type TakeBlocks = (state: number, from: number, blocks: number) => void;

export interface Md5Module {
  readonly one: TakeBlocks;
  readonly two: TakeBlocks;
}

/** Compiles the module. @param memory - has the states and blocks; shared, and of a fixed size. */
export function instantiateMd5(memory: WebAssembly.Memory): Md5Module {
  const pages = memory.buffer.byteLength / 65_536;
  const module = new WebAssembly.Module(assemble(pages));
  return new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as Md5Module;
}

/** WebAssembly's binary format, the instructions used here (core specification, section 5.4). */
const OP = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x28,
  store: 0x36,
  const: 0x41,
  add: 0x6a,
  subtract: 0x6b,
  and: 0x71,
  or: 0x72,
  xor: 0x73,
  rotateLeft: 0x77,
} as const;
const I32 = 0x7f;
const FUNCTION = 0x60;
const NO_VALUE = 0x40;
/** Memory limits: both are given, and the memory is shared. */
const SHARED_MEMORY = 0x03;
/** Alignment of words, 2 ** 2 bytes: only a hint. */
const WORD = 2;

const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const WORD_OF_STEP = [
  (index: number) => index,
  (index: number) => (5 * index + 1) % 16,
  (index: number) => (3 * index + 5) % 16,
  (index: number) => (7 * index) % 16,
] as const;

/** Indexes of a function's parameters. Its locals follow: a, b, c, d of each chain. */
const STATE = 0;
const FROM = 1;
const BLOCKS = 2;
const PARAMETERS = 3;

function join(...pieces: (number | readonly number[])[]): number[] {
  return pieces.flat();
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return join(bytes, rest);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    if (rest >= -0x40 && rest < 0x40) return join(bytes, rest & 0x7f);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

const get = (local: number): number[] => join(OP.get, unsigned(local));
const set = (local: number): number[] => join(OP.set, unsigned(local));
const tee = (local: number): number[] => join(OP.tee, unsigned(local));
const constant = (value: number): number[] => join(OP.const, signed(value));
const load = (offset: number): number[] => join(OP.load, WORD, unsigned(offset));
const store = (offset: number): number[] => join(OP.store, WORD, unsigned(offset));
const not = (local: number): number[] => join(get(local), constant(-1), OP.xor);

/** Adds F, G, H or I to the value on the stack. The halves of G have no bit in common, so each is added as soon as it is known. */
function addMix(round: number, b: number, c: number, d: number): number[] {
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

function step(index: number, chain: number): number[] {
  const round = index >> 4;
  const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((place) => PARAMETERS + chain * 4 + ((place + 64 - index) & 3));
  const word = WORD_OF_STEP[round]?.(index) ?? 0;
  const rotation = ROTATIONS[round]?.[index & 3] ?? 0;
  const addend = Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0;
  return join(
    join(get(a), constant(addend), OP.add, get(FROM), load(word * 4), OP.add),
    addMix(round, b, c, d),
    join(constant(rotation), OP.rotateLeft, get(b), OP.add, set(a)),
  );
}

function blockFunction(chains: number): number[] {
  const words = Array.from({ length: chains * 4 }, (_, word) => word);
  const all = Array.from({ length: chains }, (_, chain) => chain);
  const steps = Array.from({ length: 64 }, (_, index) => all.flatMap((chain) => step(index, chain))).flat();
  const code = join(
    words.flatMap((word) => join(get(STATE), load(word * 4), set(PARAMETERS + word))),
    join(OP.loop, NO_VALUE),
    steps,
    words.flatMap((word) => {
      const sum = join(get(STATE), load(word * 4), get(PARAMETERS + word), OP.add, tee(PARAMETERS + word));
      return join(get(STATE), sum, store(word * 4));
    }),
    join(get(FROM), constant(BLOCK_BYTES), OP.add, set(FROM)),
    join(get(BLOCKS), constant(1), OP.subtract, tee(BLOCKS), OP.branchIf, 0),
    join(OP.end, OP.end),
  );
  return sized(join(1, unsigned(words.length), I32, code));
}

const sized = (bytes: readonly number[]): number[] => join(unsigned(bytes.length), bytes);
const section = (id: number, bytes: readonly number[]): number[] => join(id, sized(bytes));
const text = (value: string): number[] => sized([...Buffer.from(value)]);

function assemble(pages: number): Uint8Array {
  const memory = join(text('host'), text('memory'), 2, SHARED_MEMORY, unsigned(pages), unsigned(pages));
  return Uint8Array.from(
    join(
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      section(1, [1, FUNCTION, PARAMETERS, I32, I32, I32, 0]),
      section(2, join(1, memory)),
      section(3, [2, 0, 0]),
      section(7, join(2, text('one'), 0, 0, text('two'), 0, 1)),
      section(10, join(2, blockFunction(1), blockFunction(2))),
    ),
  );
}
