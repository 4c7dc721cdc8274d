import { open, type Item, type OpenOptions } from 'klstore';

const options: OpenOptions = JSON.parse(process.env.OPTIONS ?? '');
const store = await open(options);
const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
items.forEach((item: Item) => console.log(item.text()));
store.close();
