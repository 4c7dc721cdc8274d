//! A verification finds each of these damages and names the object; without them the list is sound.

use std::sync::Arc;

use klstore_reader::{DamageKind, VerifyReport};

use super::*;

/// One damage of each sort; the format's own tests flip every bit.
const HOWS: [&str; 5] = ["emptied", "cut in half", "overwritten", "replaced by another list's", "bit 0 of byte 40"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_verification() -> Outcome {
    let server = server().start().await?;
    writer_of(config(&server)).await.create_keyspace(KEYSPACE).await?;
    let (expected, _) = tokio::join!(build(&server, KEY), build(&server, OTHER));
    let (layout, foreign) = (Layout::of(&server, KEY), Layout::of(&server, OTHER));
    let sound = verified(&server).await?;
    println!("  {sound:?}");
    assert_eq!((sound.is_sound(), &sound.damages[..]), (true, &[][..]));
    assert_eq!((sound.items, sound.orphan_count), (expected.len() as u64, 0));
    assert_eq!(sound.value_bytes, expected.iter().map(|value| value.len() as u64).sum::<u64>());
    for kind in &KINDS {
        let name = (kind.name)(&layout).to_owned();
        let whole = body(&server, &name);
        let damages = damages(&whole, body(&server, (kind.name)(&foreign)));
        for damage in damages.iter().filter(|damage| HOWS.iter().any(|how| damage.how.starts_with(how))) {
            put(&server, &name, damage.body.clone());
            named_by(&verified(&server).await?, &name, &format!("{} {}", kind.what, damage.how));
        }
        // Without the newest commit the list is the one before it.
        if kind.what != "newest commit" {
            server.store().delete(BUCKET, &[&name])?;
            let found = verified(&server).await?;
            named_by(&found, &name, &format!("{} deleted", kind.what));
            assert_eq!(found.damages[0].kind, DamageKind::Missing);
        }
        put(&server, &name, whole);
    }
    assert!(verified(&server).await?.is_sound());
    Ok(())
}

async fn verified(server: &RunningServer) -> Result<VerifyReport, ReaderError> {
    reader_of(config(server)).await.verify(KEYSPACE, KEY, Arc::default()).await
}

fn named_by(report: &VerifyReport, name: &str, what: &str) {
    let damage = report.damages.iter().find(|damage| damage.object == name);
    let damage = damage.unwrap_or_else(|| panic!("{what}: {:?}", report.damages));
    println!("    {what}: {damage}");
}
