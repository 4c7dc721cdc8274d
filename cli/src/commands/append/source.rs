//! Where the input comes from: a thread of its own reads it, as reading may block for ever.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::Path;
use std::rc::Rc;

use indicatif::ProgressBar;
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::input::{InputItem, InputReader, InputRules, Rejected};
use crate::progress;

/// Items and bytes that the reading thread hands over at once.
const CHUNK_ITEMS: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that may wait between the reading thread and the appender.
const WAITING_CHUNKS: usize = 4;
const INPUT_BUFFER: usize = 256 << 10;

/// What the reading thread hands over.
pub type Chunk = Vec<Result<InputItem, Rejected>>;

/// An input that was opened.
pub struct Source {
    input: Box<dyn Read + Send>,
    progress: ProgressBar,
    may_trickle: bool,
}

impl Source {
    /// Opens the file, or stdin.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let progress = progress(path);
        let input: Box<dyn Read + Send> = match path {
            Some(path) => {
                let file = File::open(path);
                Box::new(file.map_err(|error| Failure::io(&format!("cannot open {}", path.display()), error))?)
            }
            None => {
                if io::stdin().is_terminal() {
                    eprintln!("reading from the terminal: end with Ctrl-D on a line of its own");
                }
                Box::new(io::stdin())
            }
        };
        Ok(Self { input, progress, may_trickle: !path.is_some_and(Path::is_file) })
    }

    /// A bar where the input's size is known, else a count; nothing unless stderr is a terminal.
    pub fn progress(&self) -> &ProgressBar {
        &self.progress
    }

    /// Whether lines may come slowly: not from a file.
    pub fn may_trickle(&self) -> bool {
        self.may_trickle
    }

    /// Starts to read.
    pub fn read(self, rules: InputRules) -> mpsc::Receiver<Chunk> {
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        let input = self.progress.wrap_read(self.input);
        std::thread::spawn(move || {
            let chunk = Rc::new(RefCell::new(Gathered { chunk: Chunk::new(), bytes: 0, sender }));
            let source = SendingReader { input, gathered: chunk.clone() };
            let clock = || jiff::Timestamp::now().as_millisecond();
            let items = InputReader::new(BufReader::with_capacity(INPUT_BUFFER, source), rules, clock);
            for item in items {
                if chunk.borrow_mut().add(item).is_err() {
                    return;
                }
            }
            // Nobody waits for it if that fails.
            let _ = chunk.borrow_mut().send();
        });
        receiver
    }
}

fn progress(path: Option<&Path>) -> ProgressBar {
    let size = path.and_then(|path| path.metadata().ok()).filter(|found| found.is_file()).map(|found| found.len());
    let template = match size {
        Some(_) => "{bar:30} {bytes}/{total_bytes}  {msg}  {bytes_per_sec}, {eta} left",
        None => "{spinner} {bytes} read  {msg}  {bytes_per_sec}",
    };
    progress::bar(size, template)
}

/// Items on their way to the appender.
struct Gathered {
    chunk: Chunk,
    bytes: usize,
    sender: mpsc::Sender<Chunk>,
}

/// The appender has gone.
struct Gone;

impl Gathered {
    fn add(&mut self, item: Result<InputItem, Rejected>) -> Result<(), Gone> {
        self.bytes += match &item {
            Ok(item) => item.insertion.value.len(),
            Err(rejected) => rejected.raw.len(),
        };
        self.chunk.push(item);
        match self.chunk.len() >= CHUNK_ITEMS || self.bytes >= CHUNK_BYTES {
            true => self.send(),
            false => Ok(()),
        }
    }

    fn send(&mut self) -> Result<(), Gone> {
        self.bytes = 0;
        match std::mem::take(&mut self.chunk) {
            chunk if chunk.is_empty() => Ok(()),
            chunk => self.sender.blocking_send(chunk).map_err(|_| Gone),
        }
    }
}

/// Hands over what was gathered before it waits for more: nothing is held back by an input that pauses.
struct SendingReader<R> {
    input: R,
    gathered: Rc<RefCell<Gathered>>,
}

impl<R: Read> Read for SendingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.gathered.borrow_mut().send() {
            Ok(()) => self.input.read(buffer),
            Err(Gone) => Ok(0),
        }
    }
}
