//! Processes: how much memory they had, and how they end.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::Failure;

/// How long a server may take to end well.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The most memory that a process has had resident (`VmHWM`).
pub fn peak_resident_bytes(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")).ok_or("/proc has no VmHWM")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// Asks a process to end, and waits until it has.
pub async fn terminate(child: &mut Child) -> Result<(), Failure> {
    let process = child.id().ok_or("the process has ended already")?;
    let process = Pid::from_raw(i32::try_from(process)?).ok_or("a process without id")?;
    kill_process(process, Signal::TERM)?;
    tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.map_err(|_| "the process does not end")??;
    Ok(())
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
