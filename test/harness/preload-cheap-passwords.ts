/** Loaded before a program: see `CHEAP_PASSWORDS`. */
import { makePasswordsCheap } from './cheap-passwords.ts';

makePasswordsCheap();
