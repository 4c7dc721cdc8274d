// A list as the README and the examples have it: a year of one aircraft's flights.

export const FLIGHTS = { keyspace: 'flights', key: 'N14228' };
const COUNT = 365;
const FIRST = Date.UTC(2013, 0, 1, 10);
const DAY = 86_400_000;

export const flights = Array.from({ length: COUNT }, (_, number) => ({
  nonce: BigInt(number),
  timestamp: BigInt(FIRST + number * DAY),
  value: Buffer.from(JSON.stringify({ flight: `UA ${1_000 + number}`, from: 'EWR', to: ['IAH', 'SFO', 'ORD'][number % 3] })),
}));

/** The texts of the newest items, the newest first. */
export function newest(count) {
  return flights.slice(-count).reverse().map(({ value }) => value.toString());
}

export async function fillFlights(s3) {
  await s3.createKeyspace(FLIGHTS.keyspace);
  // Two commits, so that a page needs more than one object.
  await s3.append(FLIGHTS.keyspace, FLIGHTS.key, flights.slice(0, 300));
  await s3.append(FLIGHTS.keyspace, FLIGHTS.key, flights.slice(300));
}
