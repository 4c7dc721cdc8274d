/** What can go wrong, by what the caller should do. */

/** Names the kind of a {@link KlstoreError}. Codes are never renamed; new ones may be added. */
export type ErrorCode =
  | 'AccessDenied'
  | 'BucketNotFound'
  | 'ClockSkew'
  | 'Closed'
  | 'Configuration'
  | 'Contended'
  | 'Corrupt'
  | 'Credentials'
  | 'CrossOrigin'
  | 'HiddenEtag'
  | 'Internal'
  | 'InvalidArgument'
  | 'InvalidContinuation'
  | 'KeyspaceNotFound'
  | 'Refused'
  | 'Unavailable'
  | 'UnsupportedLayout'
  | 'UnsupportedVersion'
  | 'WrongRegion';

/**
 * Why a call failed. The message says what happened, to which object, and what to do; neither it nor anything else of
 * the error holds a key, a token, a signature or a signed URL.
 *
 * A call whose signal was aborted rejects with the signal's reason instead.
 */
export class KlstoreError extends Error {
  /** Stable: compare this rather than the message. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
    this.name = `${code}Error`;
  }

  /** Whether the same call may well succeed later. */
  get retryable(): boolean {
    return this.code === 'Unavailable' || this.code === 'Contended';
  }
}

/** The keyspace does not exist: create it, or check bucket and prefix. */
export class KeyspaceNotFoundError extends KlstoreError {}
/** The continuation is malformed or of another list or order: start without one. */
export class InvalidContinuationError extends KlstoreError {}
/** An argument is refused: fix the call. */
export class InvalidArgumentError extends KlstoreError {}
/** The options are contradictory or do not lead to an S3 store: fix them. */
export class ConfigurationError extends KlstoreError {}
/** The store refused the keys or got none, or the provider failed (see `cause`). */
export class CredentialsError extends KlstoreError {}
/** The keys do not allow the request: grant it. */
export class AccessDeniedError extends KlstoreError {}
/** The bucket does not exist. */
export class BucketNotFoundError extends KlstoreError {}
/** The bucket is in another region, which the message names where the store does. */
export class WrongRegionError extends KlstoreError {}
/** This machine's clock and the store's differ too much, and the store did not say by how much. */
export class ClockSkewError extends KlstoreError {}
/** The bucket has no CORS rule for this page's origin: the message holds the rule to set. */
export class CrossOriginError extends KlstoreError {}
/** The store's answers show no ETag: expose it in the bucket's CORS rules. */
export class HiddenEtagError extends KlstoreError {}
/** No answer, or only failures that pass, within the bounds of the retries: try again later. */
export class UnavailableError extends KlstoreError {}
/** The list kept changing while it was read: try again. */
export class ContendedError extends KlstoreError {}
/** An object is damaged: nothing of it was used. */
export class CorruptError extends KlstoreError {}
/** An object was written by a newer release: upgrade this package. */
export class UnsupportedVersionError extends KlstoreError {}
/** A newer release wrote something that this one must not ignore: upgrade this package. */
export class UnsupportedLayoutError extends KlstoreError {}
/** The store refused for a reason of its own, which the message repeats. */
export class RefusedError extends KlstoreError {}
/** The store was closed, before or during the call. */
export class ClosedError extends KlstoreError {}
/** A fault in klstore itself: please report it. The next call works on a fresh instance. */
export class InternalError extends KlstoreError {}
