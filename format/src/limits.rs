//! Every size that klstore bounds, in one place. What is read is refused beyond these before anything is allocated.

/// Bytes in the largest value: 16 MiB.
pub const MAX_VALUE_BYTES: usize = 16 << 20;
/// Plain bytes of the items in the largest commit: 16 MiB. A larger batch is split into several commits.
pub const MAX_COMMIT_PLAIN_BYTES: usize = 16 << 20;
/// Items in the largest commit. A larger batch is split into several commits.
pub const MAX_COMMIT_ITEMS: usize = 1 << 18;
/// Bytes of a commit's header, block directories and table included: what one small GET brings.
pub const MAX_HEADER_BYTES: usize = 16 << 10;
/// Commits that a table may list. With as many, an append waits for the compaction.
pub const MAX_TABLE_ENTRIES: usize = 250;
/// A commit of at most so many bytes is fetched whole with one GET.
pub const WHOLE_COMMIT_BYTES: u64 = 64 << 10;
/// How many small commits make a compaction worth its requests, once their items fill a complete segment.
pub const WORTHWHILE_COMMITS: u64 = 32;
/// Value bytes after which a segment is cut: larger than complete, so that one PUT serves many commits.
pub const SEGMENT_VALUE_BYTES: u64 = 8 << 20;
/// Partial segments that one compaction merges at most.
pub const MAX_MERGED_PARTIALS: usize = 64;
/// Entries of the open leaf in a head page, and of a full leaf page.
pub const MAX_LEAF_ENTRIES: usize = 1_024;
/// References to full leaves in a head page.
pub const MAX_ROOT_ENTRIES: usize = 1 << 16;
/// Handovers that a head page keeps inline before they move to a ledger page.
pub const MAX_OPEN_HANDOVERS: usize = 64;
/// Handovers in one ledger page.
pub const MAX_LEDGER_ENTRIES: usize = 8_192;
/// References to ledger pages in a head page.
pub const MAX_LEDGER_PAGES: usize = 1 << 16;
/// Bytes of an index page (head, leaf or ledger).
pub const MAX_PAGE_BYTES: u64 = 64 << 20;
/// Bytes of a segment's longest header: the directory of the largest number of blocks.
pub const MAX_SEGMENT_HEADER_BYTES: usize = 256 << 10;
/// Blocks of one segment or commit.
pub const MAX_BLOCKS: usize = 1 << 12;
/// Plain bytes that a block is filled to. A larger value has a block of its own.
pub const BLOCK_PLAIN_BYTES: usize = 32 << 10;
/// Plain bytes of the largest block: one value of the largest size and its columns.
pub const MAX_BLOCK_PLAIN_BYTES: usize = MAX_VALUE_BYTES + 1_024;
/// Items of the largest block: bounds what a small, well compressed one makes a reader allocate.
pub const MAX_BLOCK_ITEMS: u32 = 1 << 16;
/// Bytes of the largest segment.
pub const MAX_SEGMENT_BYTES: u64 = 64 << 20;
/// Bytes of the longest `keyspace.json`.
pub const MAX_KEYSPACE_OBJECT_BYTES: usize = 64 << 10;
/// Bytes of a key or keyspace once escaped (file-backed servers stop there).
pub const MAX_NAME_BYTES: usize = 255;
/// Sources whose offsets a list keeps.
pub const MAX_SOURCES: usize = 1_024;
/// Bytes of a source's name: those of a Kafka topic are 249 at most.
pub const MAX_SOURCE_NAME_BYTES: usize = 255;
/// Bytes that all sources take in a commit's header: the rest is for its table and its directories.
pub const MAX_SOURCES_BYTES: usize = 8 << 10;
/// Bytes of an object prefix, its final `/` included: the longest object name then stays below S3's 1,024.
pub const MAX_PREFIX_BYTES: usize = 384;
/// Characters of a continuation token.
pub const MAX_TOKEN_CHARACTERS: usize = 256;
/// Value bytes of one page (but a page holds at least one item): 8 MiB.
pub const MAX_PAGE_VALUE_BYTES: usize = 8 << 20;
/// Items in one page, whatever was asked for.
pub const MAX_PAGE_ITEMS: u64 = 1_000_000;
/// Items in a page where nothing else is said.
pub const DEFAULT_MAX_RESULTS: u64 = 1_000;
/// Bytes of tail carry in a commit where nothing else is said.
pub const DEFAULT_CARRY_BYTES: usize = 32 << 10;
/// The longest tail carry that may be set: 1 MiB.
pub const MAX_CARRY_BYTES: usize = 1 << 20;
/// Requests that one plan may have under way at once.
pub const MAX_IN_FLIGHT: usize = 6;
/// How often a plan starts over from Load because the list moved under it.
pub const MAX_RESTARTS: u32 = 32;

#[cfg(test)]
mod tests {
    use crate::wire::block::{MAX_FRAME_BYTES, MAX_ITEM_OVERHEAD};

    /// What follows from the limits and docs/FORMAT.md, 4.
    #[test]
    fn the_largest_frame_and_what_an_item_takes_beside_its_value() {
        assert_eq!(MAX_FRAME_BYTES, 16_777_216 + 1_024 + 37);
        // A timestamp, a nonce behind its presence, a length, each in its longest form.
        assert_eq!(MAX_ITEM_OVERHEAD, 35);
    }
}
