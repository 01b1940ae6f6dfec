/**
 * MD5's block function (RFC 1321, section 3.4) as a WebAssembly module, for one chain and for
 * two over the same bytes. Each step of MD5 waits for the one before, so that a second chain
 * runs in the gaps of the first: two cost little more than one.
 */

/** Bytes of a block. */
export const BLOCK_BYTES = 64;

export interface Md5Module {
  /**
   * Takes whole blocks into one chain.
   *
   * @param state - address of the chain's four words; of two chains, one after the other.
   * @param from - address of the first block.
   */
  one(state: number, from: number, blocks: number): void;
  two(state: number, from: number, blocks: number): void;
}

/** @param memory - shared, of a fixed size: states and blocks lie in it. */
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
/** Both limits are given, and it is shared. */
const SHARED_MEMORY = 0x03;
/** Words are aligned: 2 ** 2 bytes. A hint only. */
const WORD = 2;

const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const WORD_OF_STEP = [
  (step: number) => step,
  (step: number) => (5 * step + 1) % 16,
  (step: number) => (3 * step + 5) % 16,
  (step: number) => (7 * step) % 16,
] as const;

/** Parameters of a function, and from there on its locals: a, b, c, d of each chain. */
const STATE = 0;
const FROM = 1;
const BLOCKS = 2;
const PARAMETERS = 3;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    if (rest >= -0x40 && rest < 0x40) return [...bytes, rest & 0x7f];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

const get = (local: number): number[] => [OP.get, ...unsigned(local)];
const constant = (value: number): number[] => [OP.const, ...signed(value)];
const load = (offset: number): number[] => [OP.load, WORD, ...unsigned(offset)];
const not = (local: number): number[] => [...get(local), ...constant(-1), OP.xor];

/** F, G, H, I, added to what is on the stack; G's halves have no bit in common, so that each is added once it is known. */
function addMix(round: number, b: number, c: number, d: number): number[] {
  switch (round) {
    case 0:
      return [...get(c), ...get(d), OP.xor, ...get(b), OP.and, ...get(d), OP.xor, OP.add];
    case 1:
      return [...not(d), ...get(c), OP.and, OP.add, ...get(b), ...get(d), OP.and, OP.add];
    case 2:
      return [...get(c), ...get(d), OP.xor, ...get(b), OP.xor, OP.add];
    default:
      return [...not(d), ...get(b), OP.or, ...get(c), OP.xor, OP.add];
  }
}

function step(index: number, chain: number): number[] {
  const round = index >> 4;
  const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((place) => PARAMETERS + chain * 4 + ((place + 64 - index) & 3));
  const word = WORD_OF_STEP[round]?.(index) ?? 0;
  const rotation = ROTATIONS[round]?.[index & 3] ?? 0;
  const addend = Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0;
  return [
    ...[...get(a), ...constant(addend), OP.add, ...get(FROM), ...load(word * 4), OP.add],
    ...addMix(round, b, c, d),
    ...[...constant(rotation), OP.rotateLeft, ...get(b), OP.add, OP.set, ...unsigned(a)],
  ];
}

function blockFunction(chains: number): number[] {
  const words = Array.from({ length: chains * 4 }, (_, word) => word);
  const all = Array.from({ length: chains }, (_, chain) => chain);
  const steps = Array.from({ length: 64 }, (_, index) => all.flatMap((chain) => step(index, chain))).flat();
  const code = [
    ...words.flatMap((word) => [...get(STATE), ...load(word * 4), OP.set, ...unsigned(PARAMETERS + word)]),
    ...[OP.loop, NO_VALUE],
    ...steps,
    ...words.flatMap((word) => [
      ...[...get(STATE), ...get(STATE), ...load(word * 4), ...get(PARAMETERS + word), OP.add],
      ...[OP.tee, ...unsigned(PARAMETERS + word), OP.store, WORD, ...unsigned(word * 4)],
    ]),
    ...[...get(FROM), ...constant(BLOCK_BYTES), OP.add, OP.set, ...unsigned(FROM)],
    ...[...get(BLOCKS), ...constant(1), OP.subtract, OP.tee, ...unsigned(BLOCKS), OP.branchIf, 0],
    ...[OP.end, OP.end],
  ];
  return sized([1, ...unsigned(words.length), I32, ...code]);
}

const sized = (bytes: number[]): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, bytes: number[]): number[] => [id, ...sized(bytes)];
const text = (value: string): number[] => sized([...Buffer.from(value)]);

function assemble(pages: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, FUNCTION, PARAMETERS, I32, I32, I32, 0]),
    ...section(2, [1, ...text('host'), ...text('memory'), 2, SHARED_MEMORY, ...unsigned(pages), ...unsigned(pages)]),
    ...section(3, [2, 0, 0]),
    ...section(7, [2, ...text('one'), 0, 0, ...text('two'), 0, 1]),
    ...section(10, [2, ...blockFunction(1), ...blockFunction(2)]),
  ]);
}
