//! Image references as people write them.

/// An image's name without what goes without saying: docker's own registry, and the digest beside a tag.
pub(crate) fn familiar(image: &str) -> &str {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    match image.split_once('@') {
        Some((name, _)) if name.rsplit('/').next().is_some_and(|last| last.contains(':')) => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_without_saying_is_left_out() {
        assert_eq!(familiar("docker.io/library/alpine:3@sha256:ab"), "alpine:3");
        assert_eq!(familiar("10.0.0.6:5000/web@sha256:ab"), "10.0.0.6:5000/web@sha256:ab");
        assert_eq!(familiar("10.0.0.6:5000/web:1@sha256:ab"), "10.0.0.6:5000/web:1");
    }
}
