//! A request body that knows whether its bytes were taken.
//!
//! Clients' own error classes cannot tell "never sent" from "sent and lost" in every case; whether anybody ever asked
//! for the body can. Bytes that were taken may be on the wire; bytes that were not surely are not.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// The body.
pub(super) struct TakenBody {
    data: Option<Bytes>,
    taken: Taken,
}

/// Whether the body was taken; outlives it.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<AtomicBool>);

impl Taken {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl TakenBody {
    pub(super) fn new(data: Bytes) -> (Self, Taken) {
        let taken = Taken::default();
        (Self { data: Some(data), taken: taken.clone() }, taken)
    }
}

impl Body for TakenBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Set before the bytes are handed out: there is no moment at which they are gone and not marked.
        self.taken.0.store(true, Ordering::SeqCst);
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
