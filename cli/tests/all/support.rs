//! The real binary against an S3 server in this process, in memory.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use klstore_s3_server::{AnonymousAccess, Credential, Permission, RunningServer, Server};
use serde_json::Value;
use tokio::runtime::Runtime;

pub const BUCKET: &str = "lists";
pub const ACCESS_KEY: &str = "AKTEST";
pub const SECRET_KEY: &str = "a-secret-of-the-tests";
/// A key pair that may do everything but LIST.
pub const BLIND_ACCESS_KEY: &str = "AKBLIND";

/// A key pair that may not PUT commits of the list `closed`.
pub const CLOSED_ACCESS_KEY: &str = "AKCLOSED";

/// A store, and the command with the environment that leads to it.
pub struct Store {
    pub server: RunningServer,
    // After the server, which runs in it.
    _runtime: Runtime,
}

impl Store {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let blind = Credential::new(BLIND_ACCESS_KEY, SECRET_KEY).deny(Permission::ListBucket);
        let closed = Credential::new(CLOSED_ACCESS_KEY, SECRET_KEY).policy(|(permission, _, key)| {
            permission != Permission::PutObject || !key.is_some_and(|key| key.contains("/lists/closed/"))
        });
        let server = Server::builder()
            .bucket(BUCKET)
            .bucket("public")
            .anonymous("public", AnonymousAccess { get: true, list: true })
            .credential(Credential::new(ACCESS_KEY, SECRET_KEY))
            .credential(blind)
            .credential(closed);
        let server = runtime.block_on(server.start()).unwrap();
        Self { server, _runtime: runtime }
    }

    /// A store with keyspace `ks`.
    pub fn with_keyspace() -> Self {
        let store = Self::start();
        store.klstore(&["keyspace", "create", "ks"]).succeeds();
        store
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.server.endpoint(), arguments)
    }

    /// Runs the command to its end.
    pub fn klstore(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// The same with something to read.
    pub fn klstore_reading(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = spawn(self.command(arguments));
        let mut stdin = child.stdin.take().unwrap();
        // It may end before it has read all.
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        child.wait_with_output().unwrap().into()
    }

    /// The items of a list as `page` shows them.
    pub fn items(&self, keyspace: &str, key: &str) -> Vec<Value> {
        let page = self.klstore(&["page", keyspace, key]).succeeds().json();
        page["items"].as_array().unwrap().clone()
    }
}

/// The command, with nothing from this process's environment that it looks at.
pub fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klstore"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("KLSTORE_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
        .env("KLSTORE_ENDPOINT", endpoint)
        .env("KLSTORE_BUCKET", BUCKET);
    command
}

pub fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The same, ended by Ctrl-C even where these tests are not: a shell without job control starts what runs in the
/// background with SIGINT ignored, and that is inherited.
#[cfg(target_os = "linux")]
pub fn interruptible(command: &Command) -> Command {
    let mut outer = Command::new("env");
    outer.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Sends a signal to one process.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

impl Ran {
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// It ended with this code, nothing on stdout, and an error that holds all of `parts`.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!((self.code, self.text()), (Some(code), String::new()), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in: {}", self.err);
        }
        assert!(!self.err.contains(SECRET_KEY));
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }

    /// The error of a command with `--json`.
    pub fn json_error(&self) -> Value {
        serde_json::from_str(&self.err).unwrap()
    }
}

/// `klstore s3` on a folder, with its ready line read.
pub struct Served {
    pub child: Child,
    pub endpoint: String,
    pub out: BufReader<ChildStdout>,
}

impl Served {
    pub fn start(folder: &std::path::Path) -> Self {
        Self::start_at(folder, "127.0.0.1:0")
    }

    pub fn start_at(folder: &std::path::Path, address: &str) -> Self {
        let folder = folder.to_str().unwrap();
        let arguments = ["s3", "--json", "--dir", folder, "--addr", address, "--bucket", BUCKET];
        Self::spawn(command("", &arguments), folder)
    }

    /// Runs that command, which serves that folder.
    pub fn spawn(command: Command, folder: &str) -> Self {
        let mut child = spawn(command);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!((&ready["bucket"], &ready["dir"]), (&BUCKET.into(), &folder.into()));
        let endpoint = ready["endpoint"].as_str().unwrap().to_owned();
        Self { child, endpoint, out }
    }

    pub fn klstore(&self, arguments: &[&str]) -> Ran {
        command(&self.endpoint, arguments).stdin(Stdio::null()).output().unwrap().into()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares what commands have said with a file of `snapshots`; with `KLSTORE_UPDATE_SNAPSHOTS=1` it writes the file.
/// `replaced` are the parts that differ from run to run, with what stands for them.
#[track_caller]
pub fn snapshot(name: &str, said: &str, replaced: &[(&str, &str)]) {
    let said = replaced.iter().fold(said.to_owned(), |said, (part, stands)| said.replace(part, stands));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("KLSTORE_UPDATE_SNAPSHOTS").is_some_and(|update| update == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &said).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if said == expected {
        return;
    }
    let differing = said.lines().zip(expected.lines()).position(|(said, expected)| said != expected);
    let line = differing.unwrap_or_else(|| said.lines().count().min(expected.lines().count()));
    panic!(
        "{} differs from line {} on:\n  now:    {:?}\n  before: {:?}\nIf that is meant, run with KLSTORE_UPDATE_SNAPSHOTS=1",
        path.display(),
        line + 1,
        said.lines().nth(line),
        expected.lines().nth(line),
    );
}

/// The text with everything between `before` and the next `after` replaced, wherever that is.
pub fn replaced_between(text: &str, before: &str, after: &str, stands: &str) -> String {
    let mut parts = text.split(before);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result += before;
        match part.find(after) {
            Some(end) => result = result + stands + &part[end..],
            None => result += part,
        }
    }
    result
}
