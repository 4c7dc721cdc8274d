/** What the module throws of itself, as the errors that callers know. */

import * as errors from '../errors.js';
import type { ErrorCode, KlstoreError } from '../errors.js';

/** An error record of the module: code, message and, of a clock, what the store's says. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly there?: string;
}

/** Whether the module threw this of itself, and did not trap. */
export function isFailure(thrown: unknown): thrown is Failure {
  return typeof thrown === 'object' && thrown !== null && !(thrown instanceof Error) && 'code' in thrown;
}

export function errorOf({ code, message }: Failure): KlstoreError {
  const known = Object.hasOwn(CLASSES, code) ? (code as ErrorCode) : 'Internal';
  return new CLASSES[known](known, message);
}

/** Runs what the module may refuse. */
export function translated<R>(run: () => R): R {
  try {
    return run();
  } catch (thrown) {
    throw isFailure(thrown) ? errorOf(thrown) : thrown;
  }
}

const CLASSES: Record<ErrorCode, new (code: ErrorCode, message: string) => KlstoreError> = {
  AccessDenied: errors.AccessDeniedError,
  BucketNotFound: errors.BucketNotFoundError,
  ClockSkew: errors.ClockSkewError,
  Closed: errors.ClosedError,
  Configuration: errors.ConfigurationError,
  Contended: errors.ContendedError,
  Corrupt: errors.CorruptError,
  Credentials: errors.CredentialsError,
  CrossOrigin: errors.CrossOriginError,
  HiddenEtag: errors.HiddenEtagError,
  Internal: errors.InternalError,
  InvalidArgument: errors.InvalidArgumentError,
  InvalidContinuation: errors.InvalidContinuationError,
  KeyspaceNotFound: errors.KeyspaceNotFoundError,
  Refused: errors.RefusedError,
  Unavailable: errors.UnavailableError,
  UnsupportedLayout: errors.UnsupportedLayoutError,
  UnsupportedVersion: errors.UnsupportedVersionError,
  WrongRegion: errors.WrongRegionError,
};
