//! docs/policies holds the policies that docs/S3.md shows, each of them JSON; and a writer under the strictest of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use klstore_format::IterationOrder;
use klstore_reader::StoreReader;
use klstore_s3_server::{Fault, Operation, RequestInfo};
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_writer::{Insertion, S3StoreConfig, StoreWriter};

#[test]
fn the_policies_of_the_page_are_the_files() {
    let page = include_str!("../../../docs/S3.md");
    let shown: Vec<&str> = page
        .split("```json\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .filter(|block| block.contains("\"Statement\""))
        .collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(shown.contains(&&*text), "docs/S3.md does not show {}", path.display());
        files += 1;
    }
    assert_eq!(files, shown.len());
}

/// What docs/policies/writer-that-destroys-nothing.json makes of a request on S3; no store that can be had here knows its
/// condition (script/policies).
fn destroys_nothing(request: &RequestInfo) -> Fault {
    let key = request.key.as_deref().unwrap_or_default();
    let refused = match request.operation {
        Operation::PutObject => !request.conditional && !key.contains("/seg/") && !key.contains("/idx/"),
        Operation::DeleteObject => true,
        // S3 answers 200, and refuses each name in the body.
        Operation::DeleteObjects => return Fault::KeepKeys(String::new()),
        _ => false,
    };
    if refused { Fault::refuse(StatusCode::FORBIDDEN, "AccessDenied") } else { Fault::None }
}

#[tokio::test]
async fn a_writer_that_may_destroy_nothing_appends_and_compacts() {
    const APPENDS: u64 = 60;
    let harness = Harness::start().await;
    let refused = Arc::new(AtomicU64::new(0));
    let counted = refused.clone();
    harness.server.faults().set(move |request| {
        let fault = destroys_nothing(request);
        counted.fetch_add(u64::from(!matches!(fault, Fault::None)), Ordering::Relaxed);
        fault
    });
    let small = S3StoreConfig { compact_items_threshold: 12, compact_objects_threshold: 4, ..harness.config() };
    let writer = harness.writer(small).build().await.expect("a writer");
    for number in 0..APPENDS {
        let insertion = Insertion::new(number.to_string());
        let appended = writer.append_list(KEYSPACE, "key", vec![insertion]).await.expect("an append");
        assert_eq!(appended.await.expect("a receipt").first_offset, Some(number));
    }
    writer.close().await.expect("it closes");
    let seen = writer.statistics();
    assert!(seen.compaction_count >= 3, "{seen:?}");
    assert!(seen.failed_collection_count > 0 && refused.load(Ordering::Relaxed) > 0, "nothing was refused: {seen:?}");

    let reader = harness.reader(harness.config()).build().await.expect("a reader");
    let page =
        reader.read_page(KEYSPACE, "key", IterationOrder::Forwards, Some(1_000), None, None).await.expect("a page");
    let values: Vec<&[u8]> = page.items.iter().map(|item| &item.value[..]).collect();
    let expected: Vec<String> = (0..APPENDS).map(|number| number.to_string()).collect();
    assert_eq!(values, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
}
