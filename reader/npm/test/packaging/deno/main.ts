import { open, type Item, type OpenOptions } from 'npm:klstore';

// From the arguments: the only permission is --allow-net.
const options: OpenOptions = JSON.parse(Deno.args[0]);
const store = await open(options);
const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
items.forEach((item: Item) => console.log(item.text()));
store.close();
