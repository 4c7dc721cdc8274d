//! Names of keys and keyspaces that servers, XML, URLs and file systems like to spoil.

use std::collections::BTreeSet;

use klstore_format::names::escape;
use klstore_format::{ItemFilter, IterationOrder};
use klstore_reader::StoreReader;
use klstore_writer::StoreWriter;

use super::{KEYSPACE, Outcome, Store, append, check_pages, equal, numbered};
use crate::vec_model::VecModel;

fn odd_names() -> Vec<String> {
    let names = [
        "plain",
        "Plain",
        "PLAIN",
        "Zürich ✈ 東京",
        "😀",
        "e\u{301}",
        "é",
        "a/b/c",
        "/a",
        "a/",
        "//",
        ".",
        "..",
        "...",
        ".a",
        "../..",
        " ",
        " a",
        "a ",
        "a b",
        "a+b",
        "a%20b",
        "100%",
        "%2F",
        "~",
        "~2E",
        "a~b",
        "a&b=c",
        "a?b#c",
        "<a>",
        "\"'`",
        "\\",
        "a\\b",
        "a:b*c|d",
        "\n",
        "\t",
        "\r",
        "\u{1}",
        "\u{7f}",
        "\0",
        "\u{ffff}",
        "keyspace.json",
        "lists",
        "log",
        "-",
        "_",
        "0",
    ];
    // The longest: 255 bytes as object names spell them.
    let long = ["x".repeat(255), "é".repeat(42), format!("{}abc", "/".repeat(84))];
    names.iter().map(|&name| name.to_owned()).chain(long).collect()
}

/// As listings order them.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|name| format!("{}/", escape(name)));
    names
}

pub(super) async fn odd_keys_are_listed_and_read(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let reader = store.reader().await?;
    let names = odd_names();
    let mut models = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let mut model = VecModel::default();
        append(&writer, name, vec![numbered(number as u64), numbered(number as u64 + 1)], &mut model).await?;
        models.push(model);
    }
    for (name, model) in names.iter().zip(&models) {
        check_pages(&reader, name, &model.items, IterationOrder::Backwards, 1, ItemFilter::default())
            .await
            .map_err(|failure| format!("{name:?}: {failure}"))?;
    }
    let expected = in_order(names);
    for max_size in [Some(1), Some(7), None] {
        let mut found = Vec::new();
        let mut continuation = None;
        loop {
            let list = reader.list_keys(KEYSPACE, "", max_size, continuation).await?;
            found.extend(list.keys);
            continuation = list.continuation;
            if continuation.is_none() {
                break;
            }
        }
        equal("the keys", &found, &expected)?;
    }
    for prefix in ["a", ".", "..", "é", "a ", "%", "/", "x", "PL", "nothing"] {
        let found = reader.list_keys(KEYSPACE, prefix, None, None).await?.keys;
        let expected: BTreeSet<_> = expected.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
        equal(&format!("the keys that begin with {prefix:?}"), found.into_iter().collect(), expected)?;
    }
    Ok(())
}

pub(super) async fn odd_keyspaces_are_listed_and_read(store: Store) -> Outcome {
    let writer = store.writer().await?;
    let reader = store.reader().await?;
    let names = odd_names();
    for name in &names {
        writer.create_keyspace(name).await.map_err(|error| format!("{name:?}: {error}"))?;
        let _ = writer.append_list(name, "..", vec![numbered(1)]).await?.await?;
    }
    for name in &names {
        equal("the keyspace", &reader.read_keyspace_metadata(name).await?.keyspace, name)?;
        let page = reader.read_page(name, "..", IterationOrder::Forwards, None, None, None).await?;
        equal("its items", page.items.len(), 1)?;
    }
    let expected = in_order(names);
    for max_size in [Some(5), None] {
        let mut found = Vec::new();
        let mut continuation = None;
        loop {
            let list = reader.list_keyspaces(max_size, continuation).await?;
            found.extend(list.keyspaces.into_iter().map(|metadata| metadata.keyspace));
            continuation = list.continuation;
            if continuation.is_none() {
                break;
            }
        }
        equal("the keyspaces", &found, &expected)?;
    }
    Ok(())
}
