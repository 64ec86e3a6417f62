//! A connection as actix-http sees it, with what actix-http does not look after.
//!
//! It limits the time of a connection's first head. A client that dribbles the
//! second head, or a body that nobody reads, or that does not take its answers,
//! would hold its connection for ever: here it is cut.
//!
//! It keeps the buffers of a connection on which nothing is asked: here they go
//! ([`Attendant::serve`]).
//!
//! At a stop it would throw away a request of which no handler has heard, though
//! its bytes are there: here the connection ends between two requests.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_service::Service;
use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::framing::Framing;
use super::memory;

/// No answer, but a request for the body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// How exactly time is kept. To set a timer with each request would cost more.
const TICK: Duration = Duration::from_secs(1);
/// Ticks without a request after which a connection gives its buffers back.
const QUIET: u32 = 2;

/// How long connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For bytes that have come to be answered, and for answers to be taken.
    pub due: Duration,
    /// For the next request to come.
    pub idle: Duration,
}

/// What serves the clients of one worker.
pub struct Attendant<H, S> {
    /// actix-http's part.
    pub http: H,
    /// With every client.
    pub patience: Patience,
    /// Makes futures that end when the server stops.
    pub stop: S,
}

type Client = (Connection<TcpStream>, Option<SocketAddr>);

impl<H, S, N> Attendant<H, S>
where
    H: Service<Client, Response = ()>,
    S: Fn() -> N,
    N: Future<Output = ()> + 'static,
{
    /// Serves a client, until either side has had enough.
    ///
    /// actix-http has two buffers of 8 KiB for each connection. So it gets one only
    /// while there is something to do: a connection on which nothing is asked for a
    /// moment is taken away from it, between two requests, and given to it anew when
    /// the client speaks again.
    pub async fn serve(self: Rc<Self>, mut client: TcpStream) -> Result<(), H::Error> {
        loop {
            let quiet = Rc::new(Cell::new(None));
            self.answer(client, &quiet).await?;
            let Some(parked) = quiet.take() else {
                return Ok(());
            };
            memory::note_freed();
            if !self.hears(&parked).await {
                return Ok(());
            }
            client = parked;
        }
    }

    /// In a box, so that it takes no room afterwards.
    fn answer(
        &self,
        client: TcpStream,
        quiet: &Rc<Cell<Option<TcpStream>>>,
    ) -> Pin<Box<H::Future>> {
        let peer = client.peer_addr().ok();
        let connection = Connection::new(client, self.patience, (self.stop)(), Rc::clone(quiet));
        Box::pin(self.http.call((connection, peer)))
    }

    /// Whether the client speaks again before it is too late.
    async fn hears(&self, client: &TcpStream) -> bool {
        // Bytes, or the client's end: both are actix-http's to read. To wait for
        // readiness would do, were it never said too early.
        let first = poll_fn(|context| client.poll_peek(context, &mut ReadBuf::new(&mut [0])));
        tokio::select! {
            // What has come is answered, whatever else has happened.
            biased;
            _ = first => true,
            () = sleep(self.patience.idle.saturating_sub(TICK)) => false,
            () = (self.stop)() => false,
        }
    }
}

/// A stream that fails when, for longer than there is patience, either bytes have
/// come in and none has gone out, or bytes have to go out and cannot. It ends when
/// nothing is due, and nothing has been for a moment, or the server stops.
pub struct Connection<S> {
    /// `None` once it has been handed back.
    stream: Option<S>,
    /// Where it is handed back to.
    quiet: Rc<Cell<Option<S>>>,
    patience: Patience,
    tick: Pin<Box<Sleep>>,
    /// Since it is as `is_due` says.
    ticks: u32,
    /// Somebody owes something.
    is_due: bool,
    framing: Framing,
    stop: Pin<Box<dyn Future<Output = ()>>>,
    is_stopping: bool,
}

impl<S> Connection<S> {
    /// Nothing is due before the first byte.
    fn new(
        stream: S,
        patience: Patience,
        stop: impl Future<Output = ()> + 'static,
        quiet: Rc<Cell<Option<S>>>,
    ) -> Self {
        Self {
            stream: Some(stream),
            quiet,
            patience,
            tick: Box::pin(sleep(TICK)),
            ticks: 0,
            is_due: false,
            framing: Framing::Nothing,
            stop: Box::pin(stop),
            is_stopping: false,
        }
    }

    fn set_due(&mut self, is_due: bool) {
        if self.is_due != is_due {
            self.is_due = is_due;
            self.ticks = 0;
        }
    }

    /// Whether it has been as `is_due` says for so long.
    fn has_been_for(&self, time: Duration) -> bool {
        // The first tick may come at once.
        TICK * self.ticks > time
    }

    /// Lets the time go by; an error if there is no patience left.
    fn poll_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.tick.as_mut().poll(context).is_ready() {
            self.tick.as_mut().reset(Instant::now() + TICK);
            self.ticks = self.ticks.saturating_add(1);
        }
        if self.is_due && self.has_been_for(self.patience.due) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Whether this is the end, now that there is nothing to read. A stream that
    /// could go on is handed back.
    fn poll_over(&mut self, context: &mut Context<'_>) -> bool {
        self.is_stopping = self.is_stopping || self.stop.as_mut().poll(context).is_ready();
        if self.is_due {
            return false;
        }
        if self.is_stopping {
            return true;
        }
        // Nothing that came is still in actix-http's hands.
        if self.framing == Framing::Whole && self.ticks >= QUIET {
            self.quiet.set(self.stream.take());
            return true;
        }
        // Before the first byte it is actix-http that loses patience, and says so.
        self.framing != Framing::Nothing && self.has_been_for(self.patience.idle)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Ok(()));
        };
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        if let Some(new @ [_, ..]) = buffer.filled().get(before..) {
            this.framing = match this.framing {
                // Sent before the last one was answered: of two requests at work
                // one answer does not tell that nothing is due.
                Framing::Whole if this.is_due => Framing::Unknown,
                framing => framing.after(new),
            };
            this.set_due(true);
        }
        // Also when bytes do come: those of a client that never stops.
        this.poll_time(context)?;
        if read.is_pending() && this.poll_over(context) {
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
        let this = &mut *self;
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = Pin::new(stream).poll_write(context, bytes);
        if written.is_pending() {
            this.set_due(true);
            this.poll_time(context)?;
        } else if bytes != CONTINUE {
            this.set_due(false);
        }
        if written.is_ready() && this.is_stopping {
            // To read once more, and find the end.
            context.waker().wake_by_ref();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(context),
            // It goes on, elsewhere.
            None => Poll::Ready(Ok(())),
        }
    }
}
