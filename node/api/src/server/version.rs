//! The API's versions: which are spoken, and the optional `/v1.NN` before every path.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// Highest version spoken; what a path without a version means.
pub(super) const MAX: ApiVersion = ApiVersion { major: 1, minor: 51 };

/// Lowest version spoken.
pub(super) const MIN: ApiVersion = ApiVersion { major: 1, minor: 24 };

/// The version that a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u32,
    minor: u32,
}

/// Why a version was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VersionRefusal {
    TooOld(ApiVersion),
    TooNew(ApiVersion),
}

impl ApiVersion {
    /// Whether the client speaks a version before 1.`minor`.
    pub(super) fn before(self, minor: u32) -> bool {
        self < Self { major: 1, minor }
    }

    /// Reads `1.41`; a missing minor number is 0, further numbers say nothing.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next().unwrap_or(Ok(0)).ok()?;
        numbers.all(|number| number.is_ok()).then_some(Self { major, minor })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Splits `/v1.41/info` into version and path; doubled slashes become one.
pub(super) fn take_off(path: &str) -> Result<(ApiVersion, String), VersionRefusal> {
    let (version, rest) = match split(path) {
        Some((version, _)) if version < MIN => return Err(VersionRefusal::TooOld(version)),
        Some((version, _)) if version > MAX => return Err(VersionRefusal::TooNew(version)),
        Some(found) => found,
        None => (MAX, path),
    };
    let mut clean = String::with_capacity(rest.len());
    for letter in rest.chars() {
        if letter != '/' || !clean.ends_with('/') {
            clean.push(letter);
        }
    }
    Ok((version, clean))
}

fn split(path: &str) -> Option<(ApiVersion, &str)> {
    let after = path.strip_prefix("/v")?;
    let end = after.find('/')?;
    Some((ApiVersion::parse(&after[..end])?, &after[end..]))
}

impl IntoResponse for VersionRefusal {
    fn into_response(self) -> Response {
        match self {
            // Clients before 1.24 do not read errors as JSON.
            Self::TooOld(version) => (
                StatusCode::BAD_REQUEST,
                format!(
                    "client version {version} is too old. Minimum supported API version is {MIN}, please upgrade \
                     your client to a newer version\n"
                ),
            )
                .into_response(),
            Self::TooNew(version) => ApiError::invalid_parameter(format!(
                "client version {version} is too new. Maximum supported API version is {MAX}"
            ))
            .into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_come_off() {
        let version = |minor| ApiVersion { major: 1, minor };
        assert_eq!(take_off("/info"), Ok((MAX, "/info".into())));
        assert_eq!(take_off("/v1.41/info"), Ok((version(41), "/info".into())));
        assert_eq!(take_off("/v1.24//containers//web/json"), Ok((version(24), "/containers/web/json".into())));
        assert_eq!(take_off("/volumes"), Ok((MAX, "/volumes".into())));
        assert_eq!(take_off("/v1.x/info"), Ok((MAX, "/v1.x/info".into())));
        assert_eq!(take_off("/v1.9/info"), Err(VersionRefusal::TooOld(version(9))));
        assert_eq!(take_off("/v1.99/info"), Err(VersionRefusal::TooNew(version(99))));
        assert!(version(9).before(40) && !version(40).before(40));
    }

    proptest! {
        #[test]
        fn any_path_is_split_or_refused(path in "/[v0-9./a-z%-]{0,20}") {
            if let Ok((_, rest)) = take_off(&path) {
                prop_assert!(rest.starts_with('/'));
            }
        }
    }
}
