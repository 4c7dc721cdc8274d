import { open } from 'klstore';

export default {
  async fetch(_request, env) {
    const store = await open(JSON.parse(env.OPTIONS));
    const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
    return new Response(items.map((item) => item.text()).join('\n'));
  },
};
