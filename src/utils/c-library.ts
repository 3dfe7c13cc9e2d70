import { dlopen, type FFIFunction, type Library } from 'bun:ffi';

const MUSL = `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`;
const LIBRARIES = process.platform === 'linux' ? ['libc.so.6', MUSL] : [];

/** Opens functions of the C library of Linux, that of glibc or musl. Returns null if there is none. */
export function openCLibrary<F extends Record<string, FFIFunction>>(
  functions: F,
): Library<F>['symbols'] | null {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, functions).symbols;
    } catch {
      // Not the library of this system.
    }
  }
  return null;
}
