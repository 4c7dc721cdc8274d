/** Notes the memory of every module that is instantiated from now on, until the test is over. */
export function watchMemory(later) {
  const { instantiate } = WebAssembly;
  const memories = [];
  const note = (exports) => {
    for (const value of Object.values(exports)) if (value instanceof WebAssembly.Memory) memories.push(value);
  };
  WebAssembly.instantiate = async (...given) => {
    const result = await instantiate(...given);
    note((result.instance ?? result).exports);
    return result;
  };
  later(() => (WebAssembly.instantiate = instantiate));
  return {
    /** Bytes of the largest one: a module's memory never shrinks. */
    most() {
      if (memories.length === 0) throw new Error('no module was instantiated');
      return Math.max(...memories.map(({ buffer }) => buffer.byteLength));
    },
  };
}
