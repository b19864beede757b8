//! Which processes belong to one that was started: itself and all that descend from it.

use std::fs;

use super::stat::parse_stat;

/// `root` and its living descendants.
pub(crate) fn process_tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all_processes()
        .filter_map(|process| {
            let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            Some((process, parse_stat(&line)?.parent))
        })
        .collect();
    descendants(root, &parents)
}

fn all_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Follows (process, parent) pairs down from `root`.
fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_generations_are_found_and_strangers_are_not() {
        let parents = [(2, 1), (10, 2), (11, 10), (12, 10), (20, 1), (13, 12)];
        assert_eq!(descendants(10, &parents), [10, 11, 12, 13]);
    }
}
