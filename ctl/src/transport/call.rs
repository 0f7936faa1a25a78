//! One request to the API and the ways to read its answer: JSON, nothing, a stream of bytes, or the connection itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_api::types::{ErrorResponse, decode};

use super::client::Client;
use crate::error::Error;
use crate::limits::ANSWER_BYTES_MAX;

/// The body of a request: bytes in memory, or a file as it is read.
pub(crate) type RequestBody = BoxBody<Bytes, std::io::Error>;

/// Filters of a list, by key.
pub(crate) type Filters = BTreeMap<String, BTreeMap<String, bool>>;

/// A request that is being built.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    target: String,
    action: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Result<Option<RequestBody>, serde_json::Error>,
    json: bool,
}

impl<'a> Call<'a> {
    pub(super) fn unversioned(client: &'a Client, method: Method, path: &str, action: &'static str) -> Self {
        let target = escaped(path, b"/:@");
        Self { client, method, target, action, headers: Vec::new(), body: Ok(None), json: false }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, key: &str, value: impl AsRef<str>) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let _infallible = write!(self.target, "{separator}{key}={}", escaped(value.as_ref(), b""));
        self
    }

    /// Adds filters, unless there are none.
    pub(crate) fn filters(self, filters: &Filters) -> Self {
        if filters.is_empty() {
            return self;
        }
        let text = serde_json::to_value(filters).unwrap_or_default().to_string();
        self.query("filters", text)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends `body` as JSON.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body)
            .map(|bytes| Some(Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed()));
        self.json = true;
        self
    }

    /// Sends a body as it comes.
    pub(crate) fn stream(mut self, body: RequestBody) -> Self {
        self.body = Ok(Some(body));
        self
    }

    /// The answer's JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(self) -> Result<T, Error> {
        let action = self.action;
        let bytes = read(self.answer().await?, action).await?;
        decode(&bytes).map_err(|source| Error::Answer { action, source: source.into() })
    }

    /// The answer's JSON; `None` when it has no body.
    pub(crate) async fn fetch_if_any<T: DeserializeOwned>(self) -> Result<Option<T>, Error> {
        let action = self.action;
        let bytes = read(self.answer().await?, action).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        decode(&bytes).map(Some).map_err(|source| Error::Answer { action, source: source.into() })
    }

    /// Waits for success; the answer's text is of no interest.
    pub(crate) async fn done(self) -> Result<(), Error> {
        let action = self.action;
        read(self.answer().await?, action).await.map(drop)
    }

    /// The answer, once its status says success; anything else becomes an error with the server's message.
    pub(crate) async fn answer(self) -> Result<Response<Incoming>, Error> {
        let (action, answer) = self.send().await?;
        if answer.status().is_success() { Ok(answer) } else { Err(failure(answer, action).await) }
    }

    /// Takes the connection over, for raw bytes in both directions; also tells the content type of what comes back.
    pub(crate) async fn take_over(self) -> Result<(Option<String>, TokioIo<Upgraded>), Error> {
        let call = self.header(CONNECTION.as_str(), "Upgrade").header(UPGRADE.as_str(), "tcp");
        let (action, answer) = call.send().await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(match answer.status().is_success() {
                true => Error::NotTakenOver { action, status: answer.status().as_u16() },
                false => failure(answer, action).await,
            });
        }
        let content = header_text(&answer, CONTENT_TYPE.as_str());
        let upgraded = hyper::upgrade::on(answer).await.map_err(|source| Error::Transport { action, source })?;
        Ok((content, TokioIo::new(upgraded)))
    }

    async fn send(self) -> Result<(&'static str, Response<Incoming>), Error> {
        let action = self.action;
        let body = self.body.map_err(|source| Error::Encode { action, source })?;
        let mut request = Request::builder().method(&self.method).uri(&self.target);
        request = request.header(HOST, self.client.host().header());
        request = request.header("user-agent", concat!("shoal/", env!("CARGO_PKG_VERSION")));
        if self.json {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if body.is_none() && self.method == Method::POST {
            request = request.header(CONTENT_LENGTH, "0");
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let body = body.unwrap_or_else(|| Full::default().map_err(|never| match never {}).boxed());
        let request = request.body(body).map_err(|source| Error::Request { action, source })?;
        Ok((action, self.client.send(request, action).await?))
    }
}

/// A header of an answer, as text.
pub(super) fn header_text(answer: &Response<Incoming>, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn read(answer: Response<Incoming>, action: &'static str) -> Result<Bytes, Error> {
    match Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(source) => Err(Error::Body { action, source }),
    }
}

async fn failure(answer: Response<Incoming>, action: &'static str) -> Error {
    let status = answer.status();
    let bytes = match read(answer, action).await {
        Ok(bytes) => bytes,
        Err(error) => return error,
    };
    let message =
        decode(&bytes).map(|body: ErrorResponse| body.message).ok().filter(|text| !text.is_empty()).unwrap_or_else(
            || {
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                if text.is_empty() { status.canonical_reason().unwrap_or("no message").to_owned() } else { text }
            },
        );
    Error::Api { action, status: status.as_u16(), message }
}

/// Percent-encodes all but letters, digits, `-._~` and the bytes in `kept`.
fn escaped(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(byte.into());
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_parameters_are_escaped() {
        assert_eq!(escaped("/images/127.0.0.1:5000/a b/json", b"/:@"), "/images/127.0.0.1:5000/a%20b/json");
        assert_eq!(escaped(r#"{"a":true}"#, b""), "%7B%22a%22%3Atrue%7D");
    }
}
