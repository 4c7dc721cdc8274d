/** A compiled module for workerd, its bytes for the bundler. */
declare module '*.wasm' {
  const wasm: WebAssembly.Module | Uint8Array<ArrayBuffer>;
  export default wasm;
}
