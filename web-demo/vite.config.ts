import { defineConfig, type Plugin } from 'vite';

/** The module is asked for together with the code that needs it, and not only once that runs. */
const preloadModule: Plugin = {
  name: 'preload-module',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(_html, { bundle }) {
      const names = Object.keys(bundle ?? {}).filter((name) => name.endsWith('.wasm'));
      return names.map((name) => ({
        tag: 'link',
        attrs: { rel: 'preload', as: 'fetch', type: 'application/wasm', href: `./${name}`, crossorigin: true },
        injectTo: 'head',
      }));
    },
  },
};

export default defineConfig({
  // Works in any folder of any bucket.
  base: './',
  plugins: [preloadModule],
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
