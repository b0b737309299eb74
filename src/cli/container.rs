//! The container's memory limit: the cache takes at most a quarter of it, whatever is written. A
//! cache that fills the container is a service that is killed when it is needed most.

use std::fs;

/// The bytes that the cache may have, of those that are written in the configuration.
pub(super) fn cache_memory(written: u64) -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|file| parse(&fs::read_to_string(file).ok()?));
    at_most_a_quarter(written, limit)
}

fn parse(text: &str) -> Option<u64> {
    // Version 2 writes `max` where there is no limit, version 1 a number beyond any machine.
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

fn at_most_a_quarter(written: u64, limit: Option<u64>) -> u64 {
    limit.map_or(written, |limit| written.min(limit / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_takes_at_most_a_quarter_of_the_container() {
        assert_eq!(at_most_a_quarter(64 << 20, parse("134217728\n")), 32 << 20);
        assert_eq!(at_most_a_quarter(64 << 20, parse("1073741824\n")), 64 << 20);
    }

    #[test]
    fn without_a_limit_what_is_written_stands() {
        assert_eq!(at_most_a_quarter(64 << 20, parse("max\n")), 64 << 20);
        assert_eq!(at_most_a_quarter(64 << 20, parse("9223372036854771712\n")), 64 << 20);
    }
}
