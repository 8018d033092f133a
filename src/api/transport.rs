//! The narrow place through which every call passes: a request goes in, what came back comes out.
//!
//! Two implementations exist: [`super::http::Http`] over the network and [`super::in_process::InProcess`] for tests
//! under virtual time. Neither follows a redirect, repeats a request or reads a meaning into an answer.

use super::answer::Carried;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderValue;

/// The longest body of an answer to an act, in bytes. A list of 200 ids has some 20 kB.
pub const ACT_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The longest body of a detail, in bytes once decompressed: a detail with a payload of 10 MB must still be readable.
pub const DETAIL_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The whole URL, encoded.
    pub url: String,
    /// The `Authorization` header, marked as sensitive.
    pub bearer: HeaderValue,
    /// What is done.
    pub what: RequestWhat,
}

/// See [`Request`].
#[derive(Debug, Clone)]
pub enum RequestWhat {
    /// A POST of this JSON.
    Act(Bytes),
    /// A GET.
    Poll,
}

impl RequestWhat {
    /// How many bytes of the answer's body are read at most.
    pub fn answer_bytes_max(&self) -> usize {
        match self {
            Self::Act(_) => ACT_BODY_BYTES_MAX,
            Self::Poll => DETAIL_BODY_BYTES_MAX,
        }
    }
}

/// Carries a request and brings back what came of it, within the limits of time and size it was made with.
pub trait Transport: Send + Sync {
    /// Exactly one attempt.
    fn carry(&self, request: Request) -> BoxFuture<'_, Carried>;
}
