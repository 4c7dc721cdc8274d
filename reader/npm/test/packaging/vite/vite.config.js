import { defineConfig } from 'vite';

export default defineConfig({
  // Prebundled, the code would look for klstore.wasm in another folder.
  optimizeDeps: { exclude: ['klstore'] },
});
