import { open } from 'klstore';

const store = await open(await (await fetch('/options.json')).json());
const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
for (const item of items) {
  const row = document.createElement('li');
  row.textContent = item.text();
  document.querySelector('#items').append(row);
}
