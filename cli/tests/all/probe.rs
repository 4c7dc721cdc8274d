//! `klstore probe` on stores that are fit, and on one that is not, in one way after the other.

use crate::others::{Kind, OtherServer};
use crate::support::{BLIND_ACCESS_KEY, BUCKET, Ran, Store};
use klstore_s3_server::{Fault, Operation, RequestInfo};

const CHECKS: [&str; 15] = [
    "conditional_put",
    "racing_puts",
    "consistency",
    "list_order",
    "list_start_after",
    "list_delimiter",
    "list_encoding",
    "etags",
    "ranges",
    "stub",
    "delete_objects",
    "missing_object",
    "clock",
    "cors",
    "clean_up",
];

#[test]
fn a_fit_store_passes_and_is_left_clean() {
    let store = Store::start();
    let text = store.klstore(&["probe"]).succeeds().text();
    assert_eq!(
        text,
        "\
pass  conditional_put   the second PUT of a name is answered 412 and changes nothing
pass  racing_puts       5 rounds: one of 64 racers won, all others got 412
pass  consistency       16 objects: GET and LIST show every PUT, overwrite and DELETE at once
pass  list_order        13 names come in the order of their bytes, at once and page by page
pass  list_start_after  LIST goes on behind a name, whether it exists or not
pass  list_delimiter    4 common prefixes, in order
info  list_encoding     with encoding-type=url a space is written as `+`; klstore's names have none
pass  etags             the same in PUT, GET and LIST, another after an overwrite
pass  ranges            206 with the bytes asked for, cut at the end of the object, 416 beyond it
pass  stub              an emptied object keeps its name taken; a range of it is answered 416
pass  delete_objects    deletes what is named, and takes a missing name for deleted
pass  missing_object    404
pass  clock             this machine's clock agrees with the store's
info  cors              a page of https://klstore.invalid may not read here; docs/S3.md has the rule to set for yours
pass  clean_up          nothing of the probe is left
fit: 15 checks, none failed
"
    );
    assert!(store.server.store().keys(BUCKET, "").unwrap().is_empty());

    let answer = store.klstore(&["probe", "--json", "--rounds", "1", "--prefix", "team/x"]).succeeds().json();
    assert_eq!((&answer["fit"], answer["failed"].as_array().unwrap().len()), (&true.into(), 0));
    assert!(answer["prefix"].as_str().unwrap().starts_with("team/x/klstore-probe-"));
    let checks: Vec<&str> =
        answer["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(checks, CHECKS);
    assert!(store.server.store().keys(BUCKET, "").unwrap().is_empty());
}

/// The probe of a store with this fault fails by these checks, and only these.
fn fails_by(checks: &[&str], fault: impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static) {
    let store = Store::start();
    store.server.faults().set(fault);
    let ran = store.klstore(&["probe", "--json", "--rounds", "2"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    let answer = ran.json();
    assert_eq!(answer["failed"], serde_json::json!(checks), "{answer:#}");
    assert_eq!(answer["fit"], false);
    let error = ran.json_error();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains(checks[0]), "{message}");
}

#[test]
fn a_store_that_ignores_conditions_is_found_out() {
    fails_by(&["conditional_put", "racing_puts", "stub"], |_| Fault::IgnorePreconditions);
}

/// It looks, and then writes: right one after the other, wrong under a race.
#[test]
fn a_store_that_is_not_atomic_is_found_out() {
    fails_by(&["racing_puts"], |request| match request.key.as_ref().is_some_and(|key| key.contains("/race/")) {
        true => Fault::IgnorePreconditions,
        false => Fault::None,
    });
}

#[test]
fn a_store_that_lists_out_of_order_is_found_out() {
    fails_by(&["list_order", "list_start_after"], |_| Fault::ReverseList);
}

#[test]
fn a_store_that_cuts_answers_off_is_found_out() {
    let cut = |request: &RequestInfo| match request.operation == Operation::GetObject
        && request.key.as_ref().is_some_and(|key| key.ends_with("/range"))
    {
        true => Fault::Truncate(5),
        false => Fault::None,
    };
    fails_by(&["ranges"], cut);
}

#[test]
fn a_store_that_keeps_what_is_deleted_is_found_out() {
    fails_by(&["delete_objects"], |request| match request.operation == Operation::DeleteObjects {
        true => Fault::KeepKeys("delete/1".to_owned()),
        false => Fault::None,
    });
}

#[test]
fn a_store_without_etags_is_found_out() {
    fails_by(&["etags"], |_| Fault::HideETag);
}

#[test]
fn no_access_is_told_before_any_check() {
    let store = Store::start();
    let mut blind = store.command(&["probe"]);
    let ran: Ran = blind.env("AWS_ACCESS_KEY_ID", BLIND_ACCESS_KEY).output().unwrap().into();
    ran.fails(5, &["ListObjectsV2", "grant s3:ListBucket"]);
    store.klstore(&["probe", "--bucket", "none"]).fails(3, &["bucket `none` does not exist"]);
    store.klstore(&["probe", "--endpoint", "http://127.0.0.1:1"]).fails(6, &["no definite answer"]);
}

/// Others' servers, where their binaries are there: `script/test` sees to the first, `script/conformance-minio` to the
/// second.
#[test]
fn versitygw_passes() {
    passes(Kind::Versitygw);
}

#[test]
#[ignore = "minio takes minutes to build: script/conformance-minio does"]
fn minio_passes() {
    passes(Kind::Minio);
}

fn passes(kind: Kind) {
    let Some(server) = OtherServer::start(kind) else { return };
    let ran = server.klstore(&["probe", "--rounds", "3"]);
    let text = ran.text();
    println!("{text}");
    ran.succeeds();
    assert!(text.contains("pass  racing_puts       3 rounds: one of 64 racers won"), "{text}");
    assert!(text.contains("fit: 15 checks, none failed"), "{text}");
}
