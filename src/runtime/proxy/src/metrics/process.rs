//! What the kernel knows of this process, read when asked.

use std::{
    fmt::Write as _,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::sys;

pub(super) struct Process {
    started: SystemTime,
    started_at: Instant,
}

impl Process {
    pub(super) fn start() -> Self {
        Self {
            started: SystemTime::now(),
            started_at: Instant::now(),
        }
    }

    pub(super) fn encode(&self, out: &mut String) {
        let started = self
            .started
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        sample(
            out,
            "process_start_time_seconds",
            "gauge",
            "When the process started.",
            started,
        );
        let uptime = self.started_at.elapsed().as_secs();
        sample(
            out,
            "process_uptime_seconds_total",
            "counter",
            "Seconds since then.",
            uptime,
        );
        if let Some(stat) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|s| Stat::parse(&s))
        {
            let (ticks, page) = sys::clock_ticks_and_page_size();
            #[expect(clippy::cast_precision_loss, reason = "seconds with a fraction")]
            let cpu = stat.cpu_ticks as f64 / ticks as f64;
            sample(
                out,
                "process_cpu_seconds_total",
                "counter",
                "Processor time used.",
                cpu,
            );
            sample(out, "process_threads", "gauge", "Threads.", stat.threads);
            let virtual_bytes = stat.virtual_bytes;
            sample(
                out,
                "process_virtual_memory_bytes",
                "gauge",
                "Address space.",
                virtual_bytes,
            );
            let resident = stat.resident_pages * page;
            sample(
                out,
                "process_resident_memory_bytes",
                "gauge",
                "Memory in use.",
                resident,
            );
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            sample(
                out,
                "process_open_fds",
                "gauge",
                "Open files.",
                entries.count(),
            );
        }
        if let Some(max) = max_open_files() {
            sample(out, "process_max_fds", "gauge", "Limit of open files.", max);
        }
    }
}

fn sample(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    let _ = writeln!(
        out,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
    );
}

/// The soft limit of open files, from `/proc/self/limits`.
fn max_open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Fields of `/proc/self/stat`, proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the command in parentheses, which may itself hold blanks.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_stat_line_of_an_awkward_command() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 3 0 99 4096000 250 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        let expected = Stat {
            cpu_ticks: 42,
            threads: 3,
            virtual_bytes: 4_096_000,
            resident_pages: 250,
        };
        assert_eq!(stat, expected);
    }
}
