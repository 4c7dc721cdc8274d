//! Each error of the core as a user meets it: the command, its exit code, and what it says.

use std::fmt::Write;

use crate::support::{BUCKET, Ran, Store, command, replaced_between, snapshot};
use bytes::Bytes;
use http::StatusCode;
use klstore_s3_server::{ByteRange, Fault, Operation, Precondition, RequestInfo};
use serde_json::json;

/// What commands have said, for a snapshot.
#[derive(Default)]
struct Log(String);

impl Log {
    fn add(&mut self, title: &str, arguments: &[&str], ran: &Ran) {
        let shown = |argument: &&str| {
            if argument.len() > 60 { format!("{}...", &argument[..40]) } else { argument.to_string() }
        };
        let arguments: Vec<String> = arguments.iter().map(shown).collect();
        let (text, code) = (ran.text(), ran.code.unwrap());
        writeln!(self.0, "# {title}\n$ klstore {}\n{text}{}exit code {code}\n", arguments.join(" "), ran.err).unwrap();
        assert_ne!(code, 0, "{title}");
        assert!(!ran.err.contains(crate::support::SECRET_KEY), "{title}");
    }
}

/// A store with a list `ks/k` of three items, in three commits.
fn store() -> Store {
    let store = Store::with_keyspace();
    for value in ["one", "two", "three"] {
        store.klstore_reading(&["append", "ks", "k"], value).succeeds();
    }
    store
}

/// From a body to a damaged one.
type Change = dyn Fn(Vec<u8>) -> Vec<u8>;

fn change_object(store: &Store, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let objects = store.server.store();
    let object = objects.get(BUCKET, name, ByteRange::All).unwrap();
    let body = Bytes::from(change(object.body.to_vec()));
    objects.put(BUCKET, name, body, object.metadata, &Precondition::None).unwrap();
}

fn commits(store: &Store) -> Vec<String> {
    store.server.store().keys(BUCKET, "ks/lists/k/log/").unwrap()
}

#[test]
fn each_error_of_the_store_is_said_with_what_to_do() {
    let mut log = Log::default();
    let store = store();
    let endpoint = store.server.endpoint();
    let mut check = |title: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = store.command(arguments);
        command.env("KLSTORE_DEADLINE", "1").envs(variables.iter().copied());
        let mut child = crate::support::spawn(command);
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"four\n");
        log.add(title, arguments, &child.wait_with_output().unwrap().into());
    };
    let (read, append) = (&["page", "ks", "k"][..], &["append", "ks", "k"][..]);
    let both = [("read", read), ("write", append)];

    check("no keyspace, read", &["page", "none", "k"], &[]);
    check("no keyspace, write", &["append", "none", "k"], &[]);
    check("keyspace exists", &["keyspace", "create", "ks"], &[]);
    let long = "k".repeat(256);
    check("no name, read", &["page", "ks", ""], &[]);
    check("no name, write", &["append", "", "k"], &[]);
    check("name too long, read", &["page", "ks", &long], &[]);
    check("name too long, write", &["append", "ks", &long], &[]);
    check("prefix", &["page", "ks", "k", "--prefix", "a/../b"], &[]);
    check("continuation", &["page", "ks", "k", "--continuation", "forged"], &[]);
    check("empty page", &["page", "ks", "k", "--max-size", "0"], &[]);
    for (name, arguments) in both {
        let title = |what: &str| format!("{what}, {name}");
        check(&title("no bucket"), arguments, &[("KLSTORE_BUCKET", "none")]);
        check(&title("wrong secret"), arguments, &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
        check(&title("unknown key pair"), arguments, &[("AWS_ACCESS_KEY_ID", "AKNOBODY")]);
        check(&title("no credentials"), arguments, &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]);
        check(&title("no LIST"), arguments, &[("AWS_ACCESS_KEY_ID", crate::support::BLIND_ACCESS_KEY)]);
        let mut faulty = |what: &str, fault: fn(&RequestInfo) -> Fault| {
            store.server.faults().set(fault);
            check(&title(what), arguments, &[]);
            store.server.faults().clear();
        };
        faulty("clock", |_| Fault::refuse(StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
        faulty("no ETag", |request| match request.operation {
            Operation::GetObject => Fault::HideETag,
            _ => Fault::None,
        });
        faulty("refused", |_| Fault::refuse(StatusCode::BAD_REQUEST, "InvalidRequest"));
        faulty("unavailable", |_| Fault::SLOW_DOWN);
        faulty("not supported", |_| Fault::refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
    }
    let mut faulty = |what: &str, arguments: &[&str], fault: fn(&RequestInfo) -> Fault| {
        store.server.faults().set(fault);
        check(what, arguments, &[]);
        store.server.faults().clear();
    };
    faulty("conditions are ignored", append, |_| Fault::IgnorePreconditions);
    faulty("may have been appended", append, |request| match request.key.as_deref() {
        Some(key) if key.contains("/log/") && request.operation == Operation::PutObject => Fault::SLOW_DOWN,
        _ => Fault::None,
    });
    let trim = ["trim", "ks", "k", "--before-offset", "1"];
    faulty("may have been trimmed", &trim, |request| match request.key.as_deref() {
        Some(key) if key.contains("/log/") && request.operation == Operation::PutObject => Fault::SLOW_DOWN,
        _ => Fault::None,
    });
    let said = replaced_between(&log.0, "(the store says ", ")", "TIME");
    let said = replaced_between(&said, "this machine says ", ", bucket", "TIME");
    let said = replaced_between(&said, &format!("{endpoint} says "), ": set the one", "TIME");
    // How many there is time for depends on the pauses, which are drawn by lot.
    let attempts = |line: &str| replaced_between(line, "` in ", " attempts", "N") + "\n";
    let said: String = said.lines().map(attempts).collect();
    snapshot("errors-of-the-store.txt", &said, &[(&endpoint, "ENDPOINT")]);
}

#[test]
fn each_error_of_an_object_is_said_with_what_to_do() {
    let mut log = Log::default();
    let store = store();
    let mut check = |title: &str, arguments: &[&str]| {
        let ran = store.klstore_reading(arguments, "four\n");
        log.add(title, arguments, &ran);
    };
    let (read, append) = (&["page", "ks", "k"][..], &["append", "ks", "k"][..]);
    let newest = commits(&store)[0].clone();
    let both: [(&str, &Change); 4] = [
        ("commit is damaged", &|mut body| {
            body[20] ^= 0xff;
            body
        }),
        ("commit is cut", &|body| body[..body.len() / 2].to_vec()),
        ("commit is something else", &|_| b"<html>".to_vec()),
        ("commit is of a newer version", &|mut body| {
            // Behind the magic.
            body[4] = 9;
            body
        }),
    ];
    for (what, change) in both {
        let before = store.server.store().get(BUCKET, &newest, ByteRange::All).unwrap().body;
        change_object(&store, &newest, change);
        check(&format!("{what}, read"), read);
        check(&format!("{what}, write"), append);
        change_object(&store, &newest, |_| before.to_vec());
    }
    let object = "ks/keyspace.json";
    let before = store.server.store().get(BUCKET, object, ByteRange::All).unwrap().body;
    let of_keyspace = |name: &'static str, value: serde_json::Value| {
        change_object(&store, object, |body| {
            let mut json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(json.get(name).is_some(), "{json}");
            json[name] = value.clone();
            json.to_string().into_bytes()
        });
    };
    for (what, name, value) in [
        ("keyspace of a newer version", "format_version", json!(2)),
        ("keyspace of another layout", "layout", json!("map")),
        ("keyspace of another name", "keyspace", json!("other")),
    ] {
        of_keyspace(name, value);
        // A list with commits shows by itself that its keyspace exists.
        check(&format!("{what}, read"), &["page", "ks", "another"]);
        check(&format!("{what}, write"), append);
        change_object(&store, object, |_| before.to_vec());
    }
    snapshot("errors-of-objects.txt", &log.0, &[]);
}

#[test]
fn each_bad_line_is_said_with_what_to_do() {
    let mut log = Log::default();
    let store = Store::with_keyspace();
    let mut check = |title: &str, arguments: &[&str], input: &str| {
        let ran = store.klstore_reading(arguments, input);
        log.add(title, arguments, &ran);
    };
    let ndjson = ["append", "ks", "k", "--format", "ndjson"];
    for (title, line) in [
        ("no JSON", "{".to_owned()),
        ("no value", "{}".to_owned()),
        ("two values", json!({ "value": "", "value_base64": "" }).to_string()),
        ("no base64", json!({ "value_base64": "?" }).to_string()),
        ("two keys", json!({ "value": "", "key": "a" }).to_string()),
        ("nonce", json!({ "value": "", "nonce": -1 }).to_string()),
        ("last nonce", json!({ "value": "", "nonce": u128::MAX.to_string() }).to_string()),
        ("timestamp", json!({ "value": "", "timestamp": "today" }).to_string()),
        ("value too large", json!({ "value": "x".repeat((16 << 20) + 1) }).to_string()),
    ] {
        check(title, &ndjson, &line);
    }
    check("two nonces", &[&ndjson[..], &["--nonce", "line"]].concat(), "{\"value\":\"\",\"nonce\":1}");
    check("no key", &["append", "ks"], "{\"value\":\"\"}");
    check("a key that is none", &["append", "ks"], "{\"value\":\"\",\"key\":\"\"}");
    check("no field", &[&ndjson[..], &["--value-field", "v"]].concat(), "{}");
    check("field of another kind", &[&ndjson[..], &["--nonce-field", "v"]].concat(), "{\"v\":[]}");
    let csv = ["append", "ks", "k", "--format", "csv"];
    check("cells", &csv, "a,b\n1\n");
    check("column twice", &csv, "a,a\n1,2\n");
    check("no column", &[&csv[..], &["--value-field", "c"]].concat(), "a,b\n1,2\n");
    check(
        "count since 1970",
        &[&csv[..], &["--timestamp-field", "a", "--timestamp-format", "seconds"]].concat(),
        "a\nx\n",
    );
    check("pattern", &[&csv[..], &["--timestamp-field", "a", "--timestamp-format", "%Y-%m-%d"]].concat(), "a\nx\n");
    snapshot("errors-of-lines.txt", &log.0, &[]);
}

#[test]
fn each_error_of_a_configuration_file_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    let mut check = |title: &str, name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let arguments = ["config", "check", path.to_str().unwrap()];
        let ran: Ran = command("", &arguments).output().unwrap().into();
        // A warning of a file that others can read comes before; it has a test of its own.
        let err =
            ran.err.lines().skip_while(|line| !line.contains("error:")).map(|line| line.to_owned() + "\n").collect();
        log.add(title, &["config", "check", "FOLDER/"], &Ran { err, ..ran });
    };
    for (title, text) in [
        ("no section", "a=1\n"),
        ("no setting", "[s3]\nbucket\n"),
        ("bad section", "[s3\n"),
        ("open quote", "[s3]\nbucket_name=\"b\n"),
        ("behind the quote", "[s3]\nbucket_name=\"b\" c\n"),
        ("twice", "[s3]\nbucket_name=a\nbucket_name=b\n"),
        ("section twice", "[s3]\nbucket_name=a\n[batcher]\n[s3]\n"),
        ("unknown section", "[s4]\n"),
        ("unknown name", "[s3]\nbuket=a\n"),
        ("value", "[s3]\nbucket_name=b\npath_style=ja\ncodec=gzip\nmax_cached_keys=-1\n"),
        ("variable is not set", "[s3]\nbucket_name=${KLSTORE_NONE}\n"),
        ("bad variable", "[s3]\nbucket_name=${\n"),
        ("file of what is no secret", "[s3]\nbucket_name=file:x\n"),
        ("no such secret", "[s3]\nbucket_name=b\naccess_key=a\nsecret_key=file:none\n"),
        ("no bucket", "[s3]\nregion=r\n"),
        ("directory bucket", "[s3]\nbucket_name=b--x-s3\n"),
        ("bucket with a slash", "[s3]\nbucket_name=b/c\n"),
        ("no region", "[s3]\nbucket_name=b\nregion=\n"),
        ("endpoint", "[s3]\nbucket_name=b\nendpoint=localhost:9000\n"),
        ("prefix", "[s3]\nbucket_name=b\nobject_prefix=a//b\n"),
        ("tokens", "[s3]\nbucket_name=b\naccess_key=a\nsecret_key=s\nsession_token=t\nsecurity_token=u\n"),
        ("half a key pair", "[s3]\nbucket_name=b\naccess_key=a\n"),
        ("a token alone", "[s3]\nbucket_name=b\nsession_token=a\n"),
        ("anonymous with a profile", "[s3]\nbucket_name=b\nanonymous=true\nprofile=p\n"),
        ("no credentials", "[s3]\nbucket_name=b\nuse_default_credentials=false\n"),
        ("KMS key without KMS", "[s3]\nbucket_name=b\nkms_key_id=k\n"),
        ("KMS key", "[s3]\nbucket_name=b\nserver_side_encryption=aws:kms\nkms_key_id=\"a b\"\n"),
        ("out of range", "[s3]\nbucket_name=b\ncompact_objects_threshold=0\ncarry_bytes=99999999\n"),
        ("batcher out of range", "[batcher]\nmax_puts_in_flight=0\nwriter_thread_count=9999\n"),
    ] {
        check(title, "klstore.ini", text.as_bytes());
    }
    check("not UTF-8", "klstore.ini", b"[s3]\nbucket_name=\xff\n");
    check("too long", "klstore.ini", &[b'#'; (1 << 20) + 1]);
    check("not TOML", "klstore.toml", b"[s3]\nbucket_name = b\n");
    check("value of TOML", "klstore.toml", b"[s3]\nbucket_name = [\"b\"]\n");
    let ran: Ran = command("", &["config", "check", "/nonexistent.ini"]).output().unwrap().into();
    log.add("no file", &["config", "check", "/nonexistent.ini"], &ran);
    let folder = folder.path().to_str().unwrap();
    snapshot("errors-of-configuration.txt", &log.0, &[(folder, "FOLDER")]);
}
