/** From whatever the module is given as, to a compiled module; and from that, to instances. */

import { InternalError } from '../errors.js';
import type { WasmSource } from '../options.js';
import { translated } from './failure.js';
import { createGlue, type Glue, type WasmStore } from './glue.js';

/** One instance of the module with one store in it. Nothing is shared between two of them but the code. */
export interface Engine {
  readonly memory: WebAssembly.Memory;
  readonly store: WasmStore;
  readonly headerNames: readonly string[];
}

export async function compile(given: WasmSource | Promise<WasmSource>, signal?: AbortSignal): Promise<WebAssembly.Module> {
  const source = await given;
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source as BufferSource);
  const response =
    source instanceof Response ? source : await fetch(source as RequestInfo | URL, signal ? { signal } : undefined);
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || type.startsWith('text/html')) {
    const where = response.url || 'its URL';
    throw new InternalError(
      'Internal',
      `klstore.wasm was not found at ${where} (status ${response.status}, ${type || 'no type'}): let your bundler copy it ` +
        "(Vite's development server: optimizeDeps.exclude: ['klstore']), pass open({ wasm }), or import klstore/inline",
    );
  }
  // Streaming needs the right type, which not every server sends.
  if (type.startsWith('application/wasm') && WebAssembly.compileStreaming) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/** A new instance of the module, with the store that `create` makes in it. */
export async function instantiate(module: WebAssembly.Module, create: (glue: Glue) => WasmStore): Promise<Engine> {
  const glue = createGlue();
  const { memory } = await glue({ module_or_path: module });
  return { memory, store: translated(() => create(glue)), headerNames: glue.Operation.headerNames().split(',') };
}
