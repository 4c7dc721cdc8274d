// The programs of this repository that the tests run.

const debug = new URL('../../../target/debug/', import.meta.url).pathname;

export const klstore = process.env.KLSTORE_BIN ?? `${debug}klstore`;
export const giantList = process.env.KLSTORE_GIANT ?? `${debug}giant_list`;
export const page = process.env.KLSTORE_WEB_PAGE ?? new URL('../../dist', import.meta.url).pathname;
