import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // Prebundled, the code would look for klstore.wasm in another folder.
  optimizeDeps: { exclude: ['klstore'] },
});
