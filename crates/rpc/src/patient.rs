//! Bodies of requests that have to go on.
//!
//! Whoever promises a body and stops sending keeps a connection, and what has come of the body, for as long as it likes.
//! Such a body ends with an error instead, which whoever reads it finds with [`is_stalled`].

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long a body may stand still.
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);

/// What [`Patient`] ends with, or what the body does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatientError<E> {
    /// Nothing came for [`PROGRESS_TIMEOUT`].
    #[error("{0}")]
    Stalled(#[from] Stalled),
    /// The body's own.
    #[error("{0}")]
    Body(#[source] E),
}

/// A body stood still for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no progress while reading the request body")]
pub struct Stalled;

/// Whether this error, or what led to it, is that a body stood still.
pub fn is_stalled(error: &(dyn Error + 'static)) -> bool {
    error.is::<Stalled>() || error.source().is_some_and(is_stalled)
}

/// A body that may stand still for [`PROGRESS_TIMEOUT`] while it is waited for.
#[derive(Debug)]
pub(crate) struct Patient<B> {
    body: B,
    /// Rings when nothing came for too long; none while nobody waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> Patient<B> {
    pub(crate) fn new(body: B) -> Patient<B> {
        Patient { body, timer: None }
    }
}

impl<B: Body + Unpin> Body for Patient<B> {
    type Data = B::Data;
    type Error = PatientError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(PatientError::Body)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(PROGRESS_TIMEOUT)));
        timer.as_mut().poll(context).map(|()| Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
