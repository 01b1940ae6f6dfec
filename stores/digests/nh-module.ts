/**
 * NH (Black et al., "UMAC: Fast and Secure Message Authentication", 1999) as a WebAssembly module that uses SIMD: four passes
 * over the same bytes, each with the key moved on by 16 bytes. docs/decisions/0057 says what it proves.
 */
import {
  assemble,
  type Code,
  constant,
  type FunctionCode,
  get,
  join,
  loadVector,
  NO_VALUE,
  OP,
  set,
  storeVector,
  tee,
  V128,
  vector,
} from './assembler.ts';

const VECTOR_BYTES = 16;
/** Each pass has two sums of 64 bits in a vector. */
const PASSES = 4;
/** What the function adds at once: two pairs of vectors. */
export const UNIT_BYTES = 4 * VECTOR_BYTES;
/** The sums of all passes: as much as a unit, so that they can be hashed again. */
export const SUMS_BYTES = PASSES * VECTOR_BYTES;
/** How many bytes have sums of their own. */
export const NH_BLOCK_BYTES = 16 * 1024;
/** The key is as long as a block, and as much longer as the last pass moves it on. */
export const NH_KEY_BYTES = NH_BLOCK_BYTES + (PASSES - 1) * VECTOR_BYTES;

/**
 * Adds units to sums.
 *
 * @param sums - address of `SUMS_BYTES`.
 * @param key - address of the key for the first unit: the key's start, moved on by as many bytes as the sums have.
 * @param from - address of the first unit.
 * @param units - how many, at least one.
 */
export type AddUnits = (sums: number, key: number, from: number, units: number) => void;

/** Compiles the module. Only where WebAssembly has SIMD. @param memory - shared, and of a fixed size. */
export function instantiateNh(memory: WebAssembly.Memory): AddUnits {
  const pages = memory.buffer.byteLength / 65_536;
  const module = new WebAssembly.Module(assemble(pages, [addUnits()]));
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  return (exports as { addUnits: AddUnits }).addUnits;
}

/** Indexes of the function's parameters, then of its locals. */
const SUMS = 0;
const KEY = 1;
const FROM = 2;
const UNITS = 3;
const sumOf = (pass: number): number => 4 + pass;
const LEFT = sumOf(PASSES);
const RIGHT = LEFT + 1;
const KEYED = [RIGHT + 1, RIGHT + 2] as const;
const keyOf = (index: number): number => KEYED[1] + 1 + index;
/** A unit's key vectors: those of its four vectors, and of the passes that are moved on. */
const KEYS = UNIT_BYTES / VECTOR_BYTES + PASSES - 1;

/** Adds one pair of vectors to all sums: in each pass, (left + key) * (right + next key), word by word. */
function addPair(pair: number): Code {
  const at = pair * 2;
  const passes = Array.from({ length: PASSES }, (_, pass) =>
    join(
      join(get(LEFT), get(keyOf(at + pass)), vector('add'), set(KEYED[0])),
      join(get(RIGHT), get(keyOf(at + pass + 1)), vector('add'), set(KEYED[1])),
      join(get(sumOf(pass)), get(KEYED[0]), get(KEYED[1]), vector('multiplyLow'), vector('addPairs')),
      join(get(KEYED[0]), get(KEYED[1]), vector('multiplyHigh'), vector('addPairs'), set(sumOf(pass))),
    ),
  );
  const load = (local: number, index: number): Code => join(get(FROM), loadVector(index * VECTOR_BYTES), set(local));
  return join(load(LEFT, at), load(RIGHT, at + 1), passes);
}

function addUnits(): FunctionCode {
  const each = (count: number, code: (index: number) => Code): Code =>
    Array.from({ length: count }, (_, index) => code(index));
  const advance = (local: number): Code => join(get(local), constant(UNIT_BYTES), OP.add, set(local));
  const code = join(
    each(PASSES, (pass) => join(get(SUMS), loadVector(pass * VECTOR_BYTES), set(sumOf(pass)))),
    join(OP.loop, NO_VALUE),
    each(KEYS, (index) => join(get(KEY), loadVector(index * VECTOR_BYTES), set(keyOf(index)))),
    addPair(0),
    addPair(1),
    advance(KEY),
    advance(FROM),
    join(get(UNITS), constant(1), OP.subtract, tee(UNITS), OP.branchIf, 0),
    OP.end,
    each(PASSES, (pass) => join(get(SUMS), get(sumOf(pass)), storeVector(pass * VECTOR_BYTES))),
  );
  return { name: 'addUnits', parameters: 4, locals: { count: PASSES + 4 + KEYS, type: V128 }, code };
}
