//! A container's environment: the image's, with the spec's merged in, and what every container has.

use shoal_runtime::defaults::PATH;

/// Merges: `PATH`, `HOSTNAME` and, with a terminal, `TERM` first; then the image's; then the spec's, where `NAME=value`
/// replaces and `NAME` alone drops.
pub(super) fn environment(image: &[String], spec: &[String], hostname: &str, tty: bool) -> Vec<String> {
    let mut merged = vec![format!("PATH={PATH}"), format!("HOSTNAME={hostname}")];
    if tty {
        merged.push("TERM=xterm".to_owned());
    }
    for entry in image.iter().chain(spec) {
        let name = name_of(entry);
        let place = merged.iter().position(|known| name_of(known) == name);
        match (entry.contains('='), place) {
            (true, Some(place)) => entry.clone_into(&mut merged[place]),
            (true, None) => merged.push(entry.clone()),
            (false, Some(place)) => drop(merged.remove(place)),
            (false, None) => {}
        }
    }
    merged
}

fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(image: &[&str], spec: &[&str], tty: bool) -> Vec<String> {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        environment(&own(image), &own(spec), "web", tty)
    }

    #[test]
    fn the_spec_wins_over_the_image_and_both_over_the_defaults() {
        let merged = merge(&["PATH=/bin", "A=image", "B=b", "EMPTY="], &["A=spec", "B", "C=a=b", "NONE"], false);
        assert_eq!(merged, ["PATH=/bin", "HOSTNAME=web", "A=spec", "EMPTY=", "C=a=b"]);
        assert_eq!(merge(&[], &[], true)[2], "TERM=xterm");
    }
}
