//! What a process took, as Linux tells it.

use crate::Failure;

/// What a process has taken since it began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Of all its threads, in user and kernel mode.
    pub cpu_seconds: f64,
    /// Memory that it has now.
    pub resident_bytes: u64,
    /// The most memory that it has had.
    pub peak_resident_bytes: u64,
}

/// Ticks of /proc/PID/stat in a second: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Of this process.
///
/// # Errors
/// Where there is no /proc.
pub fn usage() -> Result<Usage, Failure> {
    usage_of("self")
}

/// Of the process with this id.
///
/// # Errors
/// Where it has ended, or there is no /proc.
pub fn usage_of(process: &str) -> Result<Usage, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| -> Result<u64, Failure> {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).ok_or("a line of /proc/PID/status is missing")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    };
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the program's name, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat has another form")?;
    let ticks: Result<Vec<u64>, _> = fields.split(' ').skip(11).take(2).map(str::parse).collect();
    Ok(Usage {
        cpu_seconds: ticks?.iter().sum::<u64>() as f64 / TICKS,
        resident_bytes: bytes("VmRSS:")?,
        peak_resident_bytes: bytes("VmHWM:")?,
    })
}
