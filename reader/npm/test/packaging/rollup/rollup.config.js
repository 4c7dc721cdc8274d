import { copyFile, mkdir } from 'node:fs/promises';
import { nodeResolve } from '@rollup/plugin-node-resolve';

export default {
  input: 'main.js',
  output: { dir: 'dist', format: 'es' },
  plugins: [nodeResolve({ browser: true }), besideTheBundle()],
};

/** Rollup leaves `new URL('./klstore.wasm', import.meta.url)` as it is: the file has to be there. */
function besideTheBundle() {
  return {
    name: 'klstore-wasm',
    async writeBundle({ dir }) {
      await mkdir(dir, { recursive: true });
      await copyFile('node_modules/klstore/dist/klstore.wasm', `${dir}/klstore.wasm`);
    },
  };
}
