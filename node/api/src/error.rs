//! What a backend may answer instead of a result, and which HTTP status that is. The only place that knows both.

/// A refusal or failure, told to the client as `{"message": ...}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// By cause; decides the status.
    pub kind: ErrorKind,
    /// Names the field or object, its value, and the remedy.
    pub message: String,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: 400.
    InvalidParameter,
    /// Credentials are missing or wrong: 401.
    Unauthorized,
    /// Not allowed, whoever asks: 403.
    Forbidden,
    /// No such object: 404.
    NotFound,
    /// The object's state does not allow it, or its name is taken: 409.
    Conflict,
    /// Already so: 304, without a body.
    NotModified,
    /// Shoal does not have this: 501.
    NotImplemented,
    /// Cannot be done now; not a manager, no quorum, locked: 503.
    Unavailable,
    /// The daemon failed: 500.
    System,
}

impl ErrorKind {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotModified => 304,
            Self::InvalidParameter => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::System => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
        }
    }
}

impl ApiError {
    /// An error of any kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    #[must_use]
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    #[must_use]
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthorized, message)
    }

    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    #[must_use]
    pub fn not_modified() -> Self {
        Self::new(ErrorKind::NotModified, "not modified")
    }

    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotImplemented, message)
    }

    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    #[must_use]
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, message)
    }

    /// The daemon's own failure, with the whole chain of causes in the message.
    #[must_use]
    pub fn from_source(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::system(message)
    }
}

impl From<crate::types::FilterError> for ApiError {
    fn from(error: crate::types::FilterError) -> Self {
        Self::invalid_parameter(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_told() {
        let broken = crate::types::decode::<crate::types::ServiceSpec>(b"{").unwrap_err();
        let error = ApiError::from_source(&broken);
        assert_eq!(error.kind.status(), 500);
        assert!(error.message.starts_with("malformed JSON: EOF while parsing"), "{error}");
    }
}
