import { open } from 'klstore';

const store = await open(JSON.parse(process.env.OPTIONS));
const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
for (const item of items) console.log(item.text());
store.close();
