// Checks of the driver's own: each is counted, and shown with its milliseconds.

export class Tally {
  passed = 0;
  failed = [];

  /** Runs one check; what it throws is its failure. */
  async check(name, run) {
    // Not the clock that cases put wrong.
    const began = performance.now();
    const took = () => Math.round(performance.now() - began);
    try {
      await run();
      this.note(name, took());
    } catch (error) {
      this.note(name, took(), String(error?.stack ?? error));
    }
  }

  note(name, milliseconds, error) {
    if (error === undefined) {
      this.passed += 1;
      console.log(`  ${name}: passed in ${milliseconds} ms`);
    } else {
      this.failed.push(name);
      console.log(`  ${name}: FAILED after ${milliseconds} ms\n    ${error.replaceAll('\n', '\n    ')}`);
    }
  }

  /** Notes what a runtime said of its cases. */
  noteAll(prefix, results) {
    if (results.length === 0) this.note(prefix, 0, 'it ran no case');
    for (const { name, milliseconds, error } of results) this.note(`${prefix}: ${name}`, milliseconds, error);
  }

  line(what) {
    return `${what}: ${this.passed} passed, ${this.failed.length} failed`;
  }
}
