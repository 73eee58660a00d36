//! What the operating system knows about this process.

/// Largest resident memory so far, bytes; 0 where `/proc` does not say.
pub(crate) fn peak_rss_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| parse_peak_rss(&status))
        .unwrap_or(0)
}

/// The `VmHWM` line of `/proc/self/status` (proc_pid_status(5)): `VmHWM:      1234 kB`.
fn parse_peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(1024 * kibibytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_high_water_mark() {
        assert_eq!(
            parse_peak_rss("Name:\tfarad\nVmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(parse_peak_rss("Name:\tfarad\n"), None);
    }
}
