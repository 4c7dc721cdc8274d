import { defineConfig } from 'vite';

export default defineConfig({
  // Works in any folder of any bucket.
  base: './',
  // The module lies beside the package's code, where the development server is not to move it.
  optimizeDeps: { exclude: ['klstore'] },
  build: {
    target: 'es2022',
    // Nothing as a data: URL; the policy of the page does not allow it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { port: 8081, strictPort: true },
});
