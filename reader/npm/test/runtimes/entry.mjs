// The cases in Node, Deno and Bun: `node entry.mjs` with the configuration in KLSTORE_TEST_CONFIG; results on stdout.

import process from 'node:process';

import { open } from 'klstore';

import { runCases } from './conformance/suite.mjs';

const config = JSON.parse(process.env.KLSTORE_TEST_CONFIG);
console.log(JSON.stringify(await runCases(open, config, process.env.KLSTORE_TEST_CASE)));
process.exit(0);
