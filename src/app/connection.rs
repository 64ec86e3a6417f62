//! A client's stream, with the limits that actix-http does not have.
//!
//! actix-http limits the time of a connection's first head only. Here a client is cut off
//! that dribbles its second head or an unread body, or does not take its answers.
//!
//! At a stop actix-http drops every received request that no handler has seen. So the
//! stream reports its end itself, between two requests.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// An interim response: the request is still to be answered.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The precision of timeouts: a timer for each connection costs less than for each
/// request.
const TICK: Duration = Duration::from_secs(1);

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From bytes that came in to bytes of an answer that the client takes.
    pub busy: Duration,
    /// From an answer to the next request.
    pub idle: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has come yet: actix-http has a timeout for that, and answers 408.
    New,
    /// A request has begun, or an answer waits to be taken.
    Busy,
    /// All that came was answered.
    Idle,
}

/// A stream that fails when the client is too slow, and ends when the client was idle for
/// too long, or at a stop as soon as it is not busy.
pub struct Connection<S> {
    stream: S,
    timeouts: Timeouts,
    state: State,
    /// Since `state` changed.
    ticks: u32,
    tick: Pin<Box<Sleep>>,
    /// `None` once it has ended.
    stop: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl<S> Connection<S> {
    /// A new client's; the server stops when `stop` ends.
    pub fn new(stream: S, timeouts: Timeouts, stop: impl Future<Output = ()> + 'static) -> Self {
        Self {
            stream,
            timeouts,
            state: State::New,
            ticks: 0,
            tick: Box::pin(sleep(TICK)),
            stop: Some(Box::pin(stop)),
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.ticks = 0;
        }
    }

    /// Whether it has been in this state for longer than `time`.
    fn is_over(&self, time: Duration) -> bool {
        // The first tick may come at once.
        TICK * self.ticks > time
    }

    /// Counts the ticks; an error if the client is too slow.
    fn poll_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.tick.as_mut().poll(context).is_ready() {
            self.tick.as_mut().reset(Instant::now() + TICK);
            self.ticks = self.ticks.saturating_add(1);
        }
        if self.state == State::Busy && self.is_over(self.timeouts.busy) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Whether the stream ends here, where there is nothing to read.
    fn poll_end(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(context).is_ready()
        {
            self.stop = None;
        }
        match self.state {
            State::Busy => false,
            State::New => self.stop.is_none(),
            State::Idle => self.stop.is_none() || self.is_over(self.timeouts.idle),
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
            self.set_state(State::Busy);
        }
        // Also when bytes do come: those of a client that never stops.
        self.poll_time(context)?;
        if read.is_pending() && self.poll_end(context) {
            return Poll::Ready(Ok(()));
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
        if written.is_pending() {
            self.set_state(State::Busy);
            self.poll_time(context)?;
        } else {
            if bytes != CONTINUE {
                self.set_state(State::Idle);
            }
            if self.stop.is_none() {
                // To read once more, and find the end.
                context.waker().wake_by_ref();
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
