//! References of images: `[host[:port]/]path[:tag][@digest]`.

/// Whether the text is a reference, by Docker's grammar.
pub(super) fn is_reference(text: &str) -> bool {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return false;
    }
    // A colon after the last slash begins a tag; one before belongs to a port.
    let path_from = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[path_from..].rfind(':') {
        Some(colon) => (&name[..path_from + colon], Some(&name[path_from + colon + 1..])),
        None => (name, None),
    };
    tag.is_none_or(is_tag) && is_name(name)
}

fn is_name(name: &str) -> bool {
    // As Docker's own references: 255 characters.
    if name.is_empty() || name.len() > 255 {
        return false;
    }
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, name),
    };
    host.is_none_or(is_host) && path.split('/').all(is_component)
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let numeric = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let known = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|part| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
        }),
    };
    known && port.is_none_or(numeric)
}

/// Lower-case letters and digits, separated by `.`, `_`, `__` or dashes.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| is_alphanumeric(*byte));
    if !ends(bytes.first()) || !ends(bytes.last()) {
        return false;
    }
    let separators = component.split(|char: char| char.is_ascii_lowercase() || char.is_ascii_digit());
    separators
        .filter(|gap| !gap.is_empty())
        .all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(is_word);
    first && tag.len() <= 128 && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hash)) = digest.split_once(':') else { return false };
    let hexadecimal = hash.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    match algorithm {
        "sha256" => hash.len() == 64 && hexadecimal,
        "sha512" => hash.len() == 128 && hexadecimal,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_references() {
        let digest = format!("a/b@sha256:{}", "0a".repeat(32));
        let good = ["nginx", "a/b:1", "r.example:5000/a_b/c-d:V1.2_x", "localhost/x", "127.0.0.1:5000/web:1", &digest];
        for text in good.into_iter().chain(["[::1]:5000/a", "a__b", "a--b.c"]) {
            assert!(is_reference(text), "{text}");
        }
        let bad = ["", "Nginx", "a:", "a/b:-x", "a//b", "/a", "a/", "a b", "a@sha256:12", "a._b", "h.x:p/a", "a@b"];
        for text in bad {
            assert!(!is_reference(text), "{text}");
        }
    }
}
