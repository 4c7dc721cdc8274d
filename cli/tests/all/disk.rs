//! A disk that is full: `klstore s3` on a file system of 5 MiB of its own.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{BUCKET, Ran, Served, command, spawn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{BufRead, BufReader, Write};
use tokio::time::Instant;

const SIZE: &str = "size=5m";
/// What stands in the way and is then removed: afterwards there is room for the list once more, which its compaction
/// takes.
const BALLAST_BYTES: usize = 3 << 20;
/// Of one append. The disk is full before a compaction begins by itself.
const LINES: u64 = 60;
const VALUE_BYTES: usize = 2_048;
/// A full disk does not empty itself: who appends to it gives up soon.
const SOON: &str = "2";
/// Two steps of that (the first one opens the list), and what a busy machine adds.
const LONGEST_APPEND: Duration = Duration::from_secs(15);
/// What an append is told then: why, and what to do.
const FULL: [&str; 2] =
    ["InsufficientStorage: the disk of the store is full", "make room where the store keeps its objects"];
/// For what is to succeed on a busy machine.
const PATIENT: &str = "60";

/// A small file system, which nobody else sees and which is gone with this: mounted in a namespace of its own, so that
/// it takes no privileges where the system lets anyone have such a namespace.
struct SmallDisk {
    holder: Child,
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with a line that says so, where the system does not allow it.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("mount -t tmpfs -o {SIZE} tmpfs \"$0\" && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(folder.path());
        let Ok(mut holder) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
            println!("left out: there is no unshare");
            return None;
        };
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        if said == "mounted\n" {
            return Some(Self { holder, folder });
        }
        let why = holder.wait_with_output().unwrap().stderr;
        println!("left out: no small file system can be mounted: {}", String::from_utf8_lossy(&why));
        None
    }

    /// A path on it as this process gets there.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(path.strip_prefix("/").unwrap())
    }

    /// The server in that namespace.
    fn serve(&self) -> Served {
        let folder = self.folder.path().join("objects");
        let folder = folder.to_str().unwrap();
        let inner = command("", &["s3", "--json", "--dir", folder, "--addr", "127.0.0.1:0", "--bucket", BUCKET]);
        let mut outer = Command::new("nsenter");
        // Without --fork the process is the server itself: its id is the one to kill.
        outer.args(["--target", &self.holder.id().to_string(), "--user", "--mount", "--preserve-credentials", "--"]);
        outer.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        Served::spawn(outer, folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_says_what_to_do() {
    let Some(disk) = SmallDisk::mount() else { return };
    std::fs::write(disk.path("ballast"), vec![1; BALLAST_BYTES]).unwrap();
    let mut served = disk.serve();
    served.klstore(&["keyspace", "create", "ks"]).succeeds();

    let mut acknowledged = 0;
    loop {
        let (done, full) = append_until_full(&served, acknowledged..acknowledged + LINES);
        acknowledged += done;
        if full {
            break;
        }
        assert!(acknowledged < 100 * LINES, "the disk does not get full");
    }
    println!("full after {acknowledged} lines");
    // What a smaller append would find room in.
    fill(&disk.path("filler"));
    assert!(acknowledged >= 5 * LINES, "only {acknowledged} lines before the disk was full");

    // Reading goes on, also by a server that was killed and starts on the full disk.
    has(&served, acknowledged);
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    served = disk.serve();
    has(&served, acknowledged);
    assert_eq!(append_until_full(&served, acknowledged..acknowledged + LINES), (0, true));
    // A compaction needs room, too, and what it has tried takes nothing away.
    served.klstore(&["compact", "ks", "k", "--deadline", SOON]).fails(6, &FULL);
    has(&served, acknowledged);

    // With room again all goes on by itself. Of those that failed some may have become durable: nonces tell.
    std::fs::remove_file(disk.path("ballast")).unwrap();
    append(&served, acknowledged..acknowledged + 2 * LINES, PATIENT).succeeds();
    has(&served, acknowledged + 2 * LINES);
    served.klstore(&["compact", "ks", "k"]).succeeds();
    has(&served, acknowledged + 2 * LINES);
    served.klstore(&["verify", "ks", "k"]).succeeds();
}

/// Appends; how many lines are in the list then, and whether the disk was full, which has to be told in time. A machine
/// so busy that the deadline passes first is no such error: then it tries again.
fn append_until_full(served: &Served, lines: Range<u64>) -> (u64, bool) {
    for _ in 0..5 {
        let began = Instant::now();
        let ran = append(served, lines.clone(), SOON);
        assert!(began.elapsed() < LONGEST_APPEND, "it took {:?}", began.elapsed());
        match ran.code {
            Some(0) => return (lines.end - lines.start, false),
            _ if ran.err.contains("InsufficientStorage") => {
                let done = number_after(&ran.err, "\"appended\":") + number_after(&ran.err, "\"duplicates\":");
                println!(
                    "{}",
                    ran.fails(6, &FULL).fails(6, &[&format!("everything before line {} was", done + 1)]).err
                );
                return (done, true);
            }
            _ => println!("{}", ran.fails(6, &["no answer within 2000 ms"]).err),
        }
    }
    panic!("the store does not answer");
}

fn number_after(text: &str, name: &str) -> u64 {
    let (_, number) = text.split_once(name).unwrap_or_else(|| panic!("`{name}` is not in: {text}"));
    number.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Until nothing more can be written.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[1; 4_096]).is_ok() {}
}

fn append(served: &Served, lines: Range<u64>, deadline: &str) -> Ran {
    let arguments = ["append", "ks", "k", "--format", "ndjson", "--deadline", deadline];
    let mut child = spawn(command(&served.endpoint, &arguments));
    let mut text = String::new();
    for number in lines {
        writeln!(text, "{{\"value\":\"{}\",\"nonce\":{number}}}", value(number)).unwrap();
    }
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

/// The list is so many lines, or more.
#[track_caller]
fn has(served: &Served, lines: u64) {
    let limit = lines.to_string();
    let text = served.klstore(&["read", "ks", "k", "--limit", &limit, "--output", "text"]).succeeds().text();
    let there: Vec<&str> = text.lines().collect();
    assert_eq!(there.len() as u64, lines);
    for (number, line) in (0..).zip(there) {
        assert!(line == value(number), "line {number} is another one");
    }
}

/// What does not compress to less than five eighths, the same for each number.
fn value(number: u64) -> String {
    let mut bytes = [0; VALUE_BYTES];
    StdRng::seed_from_u64(number).fill(&mut bytes);
    bytes.map(|byte| char::from(b'0' + byte % 32)).iter().collect()
}
