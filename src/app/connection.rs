//! A connection that is cut when nothing comes of it, and that is closed
//! between two requests when the server stops.
//!
//! actix-http limits the time of a connection's first head and of idleness.
//! A client that dribbles the second head, or a body that nobody reads, or
//! that does not take its answers, would hold its connection for ever.
//!
//! At a stop actix-http would throw away a request of which no handler has
//! heard, though its bytes are there.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// No answer, but a request for the body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A stream that fails when, for longer than a limit, either bytes have come
/// in and none has gone out, or bytes have to go out and cannot. Once the
/// server stops, it ends as soon as nothing is due.
pub struct Connection<S> {
    stream: S,
    limit: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether `end` counts: somebody owes something.
    is_due: bool,
    stop: Pin<Box<dyn Future<Output = ()>>>,
    is_stopping: bool,
}

impl<S> Connection<S> {
    /// Nothing is due before the first byte.
    pub fn new(stream: S, limit: Duration, stop: impl Future<Output = ()> + 'static) -> Self {
        Self {
            stream,
            limit,
            end: Box::pin(sleep(limit)),
            is_due: false,
            stop: Box::pin(stop),
            is_stopping: false,
        }
    }

    fn start(&mut self) {
        if !self.is_due {
            self.is_due = true;
            self.end.as_mut().reset(Instant::now() + self.limit);
        }
    }

    /// Pending, until the time is over.
    fn poll_end<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.is_due {
            ready!(self.end.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn poll_stop(&mut self, context: &mut Context<'_>) {
        self.is_stopping = self.is_stopping || self.stop.as_mut().poll(context).is_ready();
    }

    fn judge_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        is_answer: bool,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(result) => {
                self.is_due &= !is_answer;
                if self.is_stopping {
                    // To read once more, and find the end.
                    context.waker().wake_by_ref();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.start();
                self.poll_end(context)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.start();
        }
        // Also when bytes do come: those of a client that never stops.
        if let Poll::Ready(late) = self.poll_end(context) {
            return Poll::Ready(late);
        }
        if read.is_pending() {
            self.poll_stop(context);
            if self.is_stopping && !self.is_due {
                return Poll::Ready(Ok(()));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge_write(context, written, bytes != CONTINUE)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
