/** Writes WebAssembly's binary format (core specification, section 5): what the modules of this folder need of it. */

/** Instructions (section 5.4). */
export const OP = {
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

/**
 * Instructions on four words at once; each follows the byte `VECTOR`. `addPairs` adds two numbers of 64 bits. `multiplyLow` and
 * `multiplyHigh` multiply the first or the last two words, without sign, to numbers of 64 bits.
 */
const VECTOR_OP = {
  load: 0x00,
  loadSplat: 0x09,
  store: 0x0b,
  shuffle: 0x0d,
  and: 0x4e,
  andNot: 0x4f,
  or: 0x50,
  xor: 0x51,
  shiftLeft: 0xab,
  shiftRight: 0xad,
  add: 0xae,
  subtract: 0xb1,
  addPairs: 0xce,
  multiplyLow: 0xde,
  multiplyHigh: 0xdf,
} as const;
const VECTOR = 0xfd;

/** Types of values. */
export const I32 = 0x7f;
export const V128 = 0x7b;
const FUNCTION = 0x60;
/** The type of a loop that leaves nothing on the stack. */
export const NO_VALUE = 0x40;
/** Memory limits: both are given, and the memory is shared. */
const SHARED_MEMORY = 0x03;
/** Alignment of words, 2 ** 2 bytes: only a hint. */
const WORD = 2;
/** Of bytes: vectors are read at any address. */
const BYTE = 0;

/** A function of a module: it takes words, and returns nothing. */
export interface FunctionCode {
  name: string;
  parameters: number;
  /** How many locals follow the parameters, and their type. */
  locals: { count: number; type: typeof I32 | typeof V128 };
  code: Code;
}

/** Bytes, in lists of lists. To flatten each list when it is made took 12 ms of a service's start, and as many in each digest thread. */
export type Code = number | readonly Code[];

/** Joins pieces of code. */
export function join(...pieces: Code[]): readonly Code[] {
  return pieces;
}

/** Appends the bytes of all pieces, in their order. */
function flatten(pieces: readonly Code[], bytes: number[]): number[] {
  for (const piece of pieces) {
    if (typeof piece === 'number') bytes.push(piece);
    else flatten(piece, bytes);
  }
  return bytes;
}

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

export const get = (local: number): Code => join(OP.get, unsigned(local));
export const set = (local: number): Code => join(OP.set, unsigned(local));
export const tee = (local: number): Code => join(OP.tee, unsigned(local));
export const constant = (value: number): Code => join(OP.const, signed(value));
export const load = (offset: number): Code => join(OP.load, WORD, unsigned(offset));
export const store = (offset: number): Code => join(OP.store, WORD, unsigned(offset));

/** An instruction on four words at once that has no further bytes. */
export const vector = (name: Exclude<keyof typeof VECTOR_OP, 'load' | 'loadSplat' | 'store' | 'shuffle'>): Code =>
  join(VECTOR, unsigned(VECTOR_OP[name]));
const vectorAccess = (operation: number, offset: number): Code =>
  join(VECTOR, unsigned(operation), BYTE, unsigned(offset));
export const loadVector = (offset: number): Code => vectorAccess(VECTOR_OP.load, offset);
/** Loads one word, four times. */
export const loadSplat = (offset: number): Code => vectorAccess(VECTOR_OP.loadSplat, offset);
export const storeVector = (offset: number): Code => vectorAccess(VECTOR_OP.store, offset);
/** Chooses four of eight words: 0 to 3 are those of the first vector, 4 to 7 those of the second. */
export const shuffle = (words: readonly number[]): Code =>
  join(
    VECTOR,
    VECTOR_OP.shuffle,
    words.flatMap((word) => [0, 1, 2, 3].map((byte) => word * 4 + byte)),
  );

function sized(pieces: readonly Code[]): Code {
  const bytes = flatten(pieces, []);
  return join(unsigned(bytes.length), bytes);
}
const section = (id: number, pieces: readonly Code[]): Code => join(id, sized(pieces));
const list = (items: readonly Code[]): readonly Code[] => join(unsigned(items.length), items);
const text = (value: string): Code => sized([...Buffer.from(value)]);

/**
 * Writes a module that exports the functions. It imports `host.memory`, which is shared and of a fixed size.
 *
 * @param pages - the size of the memory, in pages of 64 KiB.
 */
export function assemble(pages: number, functions: readonly FunctionCode[]): Uint8Array {
  const memory = join(text('host'), text('memory'), 2, SHARED_MEMORY, unsigned(pages), unsigned(pages));
  const types = functions.map(({ parameters }) => join(FUNCTION, unsigned(parameters), Array(parameters).fill(I32), 0));
  const bodies = functions.map(({ locals, code }) => sized(join(1, unsigned(locals.count), locals.type, code, OP.end)));
  const pieces = join(
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    section(1, list(types)),
    section(2, list([memory])),
    section(3, list(functions.map((_, index) => unsigned(index)))),
    section(7, list(functions.map(({ name }, index) => join(text(name), 0, unsigned(index))))),
    section(10, list(bodies)),
  );
  return Uint8Array.from(flatten(pieces, []));
}
