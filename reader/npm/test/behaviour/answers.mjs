/** An error as S3 answers it. */
export function answerOf(status, code, message, headers = {}) {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml', 'access-control-allow-origin': '*', ...headers }, body };
}
