//! The threads that hash passwords, and the short queue before them.
//!
//! Hashing takes a core for a quarter of a second, so it has threads of its own
//! (`hash-0`, `hash-1`, …), which give way to those that answer requests: a
//! login storm fills this queue and nothing else. The queue is fair: clients
//! take turns, and none can fill it so that another finds no room. What has no
//! room is answered [`Busy`] at once, and a request that its client has given up
//! leaves the queue unhashed. Who has other work to do first takes a [`Ticket`]
//! before it, so that in a storm nobody does it for nothing.

use std::{
    collections::HashMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{process::setpriority_process, thread::gettid};
use tokio::sync::oneshot;

use super::{argon2, queue::FairQueue};

/// A wait that the log tells of, and how often it does.
const LONG_WAIT: Duration = Duration::from_secs(1);
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How much hashing there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Threads, at least one: jobs that run at once.
    pub threads: usize,
    /// Jobs that wait. With 0 a job is taken only while a thread is free.
    pub queue: usize,
    /// How far the threads give way to others: 0, not at all, to 19.
    pub nice: u8,
    /// How long a thread without a job keeps the memory that Argon2 took.
    pub idle: Duration,
}

/// No result: the queue was full, or the job panicked. Try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password hashing is busy")]
pub struct Busy;

/// A handle on the threads; clones share them. They end, after the jobs that
/// still wait, when the last handle is gone.
#[derive(Clone)]
pub struct HashPool(Arc<Handle>);

impl HashPool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system starts no more threads.
    pub fn new(limits: Limits) -> io::Result<Self> {
        let threads = limits.threads.max(1);
        let shared = Arc::new(Shared {
            capacity: threads.saturating_add(limits.queue),
            idle: limits.idle,
            state: Mutex::default(),
            changed: Condvar::new(),
            completed: AtomicU64::new(0),
        });
        // Made first: if a thread fails to start, dropping it ends the others.
        let pool = Self(Arc::new(Handle(Arc::clone(&shared))));
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || {
                    give_way(limits.nice);
                    shared.work();
                })?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads, for `client`: whoever has the same
    /// name stands in the same line.
    ///
    /// If the returned future is dropped before `work` starts, it never does.
    ///
    /// # Errors
    ///
    /// [`Busy`]: at once if the queue is full, later if the place was needed for
    /// a client with fewer jobs, or if `work` panicked (the thread lives on, and
    /// the panic hook has reported it).
    pub async fn run<T: Send + 'static>(
        &self,
        client: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.reserve(client)?.run(work).await
    }

    /// A place for one job of that client, which is still to come.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the queue is full.
    pub fn reserve(&self, client: &str) -> Result<Ticket, Busy> {
        self.0.0.reserve(client)?;
        Ok(Ticket {
            pool: self.clone(),
            client: client.to_owned(),
            is_used: false,
        })
    }

    /// Jobs that wait for a thread right now.
    pub fn depth(&self) -> usize {
        self.0.0.lock().waiting.len()
    }

    /// Jobs that have run to their end since the start, panicked ones included.
    /// Counted before the result is handed over.
    pub fn completed(&self) -> u64 {
        self.0.0.completed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool")
            .field("depth", &self.depth())
            .field("completed", &self.completed())
            .finish_non_exhaustive()
    }
}

/// A place in the queue, given back if it is not used.
pub struct Ticket {
    pool: HashPool,
    client: String,
    is_used: bool,
}

impl Ticket {
    /// Runs `work` as [`HashPool::run`] does.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn run<T: Send + 'static>(
        mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (sender, receiver) = oneshot::channel();
        self.is_used = true;
        let shared = &self.pool.0.0;
        shared.enqueue(&self.client, Box::new(Task { work, sender }))?;
        receiver.await.map_err(|_| Busy)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_used {
            self.pool.0.0.lock().leave(&self.client);
        }
    }
}

/// Closes the queue when the last [`HashPool`] goes.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// What handles and threads have in common.
struct Shared {
    /// Jobs that may run or wait at once.
    capacity: usize,
    idle: Duration,
    state: Mutex<State>,
    changed: Condvar,
    completed: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: FairQueue<Waiting>,
    /// Tickets that are out, by client.
    coming: HashMap<String, usize>,
    running: usize,
    closed: bool,
    report: Report,
}

impl State {
    /// Takes back one ticket.
    fn leave(&mut self, client: &str) {
        if let Some(count) = self.coming.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                self.coming.remove(client);
            }
        }
    }

    /// Whether somebody has so many jobs and tickets that this client, with
    /// one more, would still have fewer.
    fn is_owed_room(&self, client: &str) -> bool {
        let coming = self
            .coming
            .iter()
            .map(|(name, count)| (name.as_str(), *count));
        let mut shares: HashMap<&str, usize> = coming.collect();
        for (name, count) in self.waiting.shares() {
            *shares.entry(name).or_default() += count;
        }
        let own = shares.get(client).copied().unwrap_or_default();
        shares.values().any(|share| *share > own + 1)
    }
}

struct Waiting {
    job: Box<dyn Job>,
    since: Instant,
}

/// What the log has not been told yet.
#[derive(Default)]
struct Report {
    last: Option<Instant>,
    refused: u64,
    longest_wait: Duration,
}

impl Report {
    /// The report, now and then, if there is any: not of each refusal and long
    /// wait, since there are most when there is least time for it.
    fn take_due(&mut self) -> Option<Self> {
        let is_due = self.last.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL);
        let is_calm = self.refused == 0 && self.longest_wait < LONG_WAIT;
        (is_due && !is_calm).then(|| {
            let last = Some(Instant::now());
            std::mem::replace(
                self,
                Self {
                    last,
                    ..Self::default()
                },
            )
        })
    }

    fn tell(&self, depth: usize) {
        let (refused, longest_wait) = (self.refused, self.longest_wait);
        tracing::warn!(
            refused,
            ?longest_wait,
            depth,
            "more logins come than the hashing threads can check"
        );
    }
}

/// A lower priority, for this thread alone: on Linux a thread's number is taken
/// where a process's is.
fn give_way(nice: u8) {
    if nice > 0
        && let Err(error) = setpriority_process(Some(gettid()), i32::from(nice))
    {
        tracing::warn!(%error, "the hashing threads keep the usual priority");
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock, so the state is whole even if poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are as many jobs as there may be, and so many to come.
    fn is_full(&self, state: &mut State, coming: usize) -> bool {
        let is_full = |state: &State| state.running + state.waiting.len() + coming >= self.capacity;
        if is_full(state) {
            state.waiting.retain(|waiting| !waiting.job.is_abandoned());
        }
        is_full(state)
    }

    fn reserve(&self, client: &str) -> Result<(), Busy> {
        let mut state = self.lock();
        let coming = state.coming.values().sum();
        if !self.is_full(&mut state, coming) || state.is_owed_room(client) {
            *state.coming.entry(client.to_owned()).or_default() += 1;
            return Ok(());
        }
        state.report.refused += 1;
        let (report, depth) = (state.report.take_due(), state.waiting.len());
        drop(state);
        if let Some(report) = report {
            report.tell(depth);
        }
        Err(Busy)
    }

    /// Puts a job where its client's ticket had a place. Others may have come
    /// in between who were owed room more than this one is.
    fn enqueue(&self, client: &str, job: Box<dyn Job>) -> Result<(), Busy> {
        let mut state = self.lock();
        state.leave(client);
        let is_full = self.is_full(&mut state, 0);
        let given_up = is_full.then(|| state.waiting.make_room(client)).flatten();
        let is_taken = !is_full || given_up.is_some();
        if is_taken {
            let since = Instant::now();
            state.waiting.push(client, Waiting { job, since });
        }
        state.report.refused += u64::from(is_full);
        let (report, depth) = (state.report.take_due(), state.waiting.len());
        // To write a line, or to wake whoever waited, is nothing to hold it for.
        drop(state);
        drop(given_up);
        if let Some(report) = report {
            report.tell(depth);
        }
        if !is_taken {
            return Err(Busy);
        }
        self.changed.notify_one();
        Ok(())
    }

    /// A thread's whole life.
    fn work(&self) {
        while let Some(job) = self.next() {
            let deliver = job.run();
            // Both before the delivery: whoever gets the result finds the
            // thread free and the job counted.
            self.lock().running -= 1;
            self.completed.fetch_add(1, Ordering::Release);
            deliver();
        }
    }

    /// Waits for a job that somebody still wants; `None` when all is over.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        loop {
            match state.waiting.pop() {
                Some(waiting) if waiting.job.is_abandoned() => {}
                Some(waiting) => {
                    state.running += 1;
                    let (depth, wait) = (state.waiting.len(), waiting.since.elapsed());
                    state.report.longest_wait = state.report.longest_wait.max(wait);
                    let report = state.report.take_due();
                    drop(state);
                    if let Some(report) = report {
                        report.tell(depth);
                    }
                    tracing::debug!(?wait, depth, "hashing a password");
                    return Some(waiting.job);
                }
                None if state.closed => return None,
                None => {
                    let (woken, waited) = self
                        .changed
                        .wait_timeout(state, self.idle)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                    if waited.timed_out() {
                        drop(state);
                        argon2::release_memory();
                        state = self.lock();
                    }
                }
            }
        }
    }
}

/// A [`Task`] of any type.
trait Job: Send {
    /// Whether nobody waits for the result any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work; the returned function hands the result over.
    fn run(self: Box<Self>) -> Box<dyn FnOnce()>;
}

struct Task<W, T> {
    work: W,
    sender: oneshot::Sender<T>,
}

impl<W, T> Job for Task<W, T>
where
    W: FnOnce() -> T + Send,
    T: Send + 'static,
{
    fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    fn run(self: Box<Self>) -> Box<dyn FnOnce()> {
        let Self { work, sender } = *self;
        // Nothing of the work's is looked at after a panic.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        Box::new(move || match outcome {
            // An error here means that the receiver has gone: nobody to tell.
            Ok(value) => drop(sender.send(value)),
            Err(_) => drop(sender),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::*;

    const LIMITS: Limits = Limits {
        threads: 1,
        queue: 0,
        nice: 0,
        idle: Duration::from_secs(3600),
    };

    fn pool(threads: usize, queue: usize) -> HashPool {
        HashPool::new(Limits {
            threads,
            queue,
            ..LIMITS
        })
        .unwrap()
    }

    /// Runs a test without a server around it.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// A job that holds its thread until the returned sender goes.
    fn hold(pool: &HashPool) -> (mpsc::Sender<()>, impl Future<Output = Result<(), Busy>>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let mut future = Box::pin({
            let pool = pool.clone();
            async move {
                pool.run("a", move || {
                    started.send(()).unwrap();
                    let _ = held.recv();
                })
                .await
            }
        });
        poll_once(&mut future);
        starts.recv().unwrap();
        (release, future)
    }

    /// Puts a job into the queue without waiting for it.
    fn poll_once<F: Future + Unpin>(future: &mut F) {
        let waker = std::task::Waker::noop();
        let _ = std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(waker));
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited too long");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn results_come_back_from_named_threads_and_are_counted() {
        let pool = pool(2, 4);

        let name = block_on(pool.run("a", || thread::current().name().map(str::to_owned)));

        assert!(name.unwrap().unwrap().starts_with("hash-"));
        assert_eq!(pool.completed(), 1);
        assert_eq!(pool.depth(), 0);
    }

    #[test]
    fn a_full_queue_is_busy_at_once() {
        let pool = pool(1, 1);
        let (release, running) = hold(&pool);
        let mut waiting = Box::pin(pool.run("a", || 2));
        poll_once(&mut waiting);

        assert_eq!(pool.depth(), 1);
        assert_eq!(block_on(pool.run("a", || 3)), Err(Busy));

        drop(release);
        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(waiting), Ok(2));
        assert_eq!(block_on(pool.run("a", || 4)), Ok(4));
        assert_eq!(pool.completed(), 3);
    }

    #[test]
    fn a_ticket_keeps_its_place_until_it_is_used_or_dropped() {
        let pool = pool(1, 1);
        let [first, second] = [(); 2].map(|()| pool.reserve("a").unwrap());

        assert!(pool.reserve("a").is_err());
        assert_eq!(block_on(pool.run("a", || 1)), Err(Busy));

        assert_eq!(block_on(first.run(|| 2)), Ok(2));
        let third = pool.reserve("a").unwrap();
        assert!(pool.reserve("a").is_err(), "used, and then somebody else's");
        drop((second, third));
        assert_eq!(block_on(pool.run("a", || 3)), Ok(3));
    }

    #[test]
    fn a_client_with_all_tickets_does_not_keep_another_out() {
        let pool = pool(1, 1);
        let tickets = [(); 2].map(|()| pool.reserve("a").unwrap());

        assert!(pool.reserve("a").is_err());
        let other = pool.reserve("b").unwrap();
        assert!(pool.reserve("b").is_err(), "one each would be no fewer");

        assert_eq!(block_on(other.run(|| 1)), Ok(1));
        for ticket in tickets {
            assert_eq!(block_on(ticket.run(|| 2)), Ok(2));
        }
    }

    #[test]
    fn without_a_queue_a_free_thread_still_takes_jobs() {
        let pool = pool(1, 0);
        for number in 0..100 {
            assert_eq!(block_on(pool.run("a", move || number)), Ok(number));
        }
        let (_release, _running) = hold(&pool);

        assert_eq!(block_on(pool.run("a", || ())), Err(Busy));
    }

    #[test]
    fn an_abandoned_job_never_starts_and_frees_its_place() {
        let pool = pool(1, 1);
        let (release, running) = hold(&pool);
        let (touched, touch) = mpsc::channel();
        let mut abandoned = Box::pin(pool.run("a", move || touched.send(()).unwrap()));
        poll_once(&mut abandoned);
        drop(abandoned);

        let mut wanted = Box::pin(pool.run("a", || 1));
        poll_once(&mut wanted);
        drop(release);

        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(wanted), Ok(1));
        assert_eq!(touch.recv(), Err(mpsc::RecvError));
        assert_eq!(pool.completed(), 2);
    }

    #[test]
    fn an_abandoned_job_is_skipped_by_the_thread_too() {
        let pool = pool(1, 8);
        let (release, running) = hold(&pool);
        let mut abandoned = Box::pin(pool.run("a", || ()));
        poll_once(&mut abandoned);
        drop(abandoned);
        drop(release);

        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(pool.run("a", || 1)), Ok(1));
        assert_eq!(pool.completed(), 2);
    }

    #[test]
    fn a_panicking_job_is_an_error_and_its_thread_lives_on() {
        let pool = pool(1, 1);

        let result: Result<(), Busy> = block_on(pool.run("a", || panic!("on purpose")));

        assert_eq!(result, Err(Busy));
        assert_eq!(block_on(pool.run("a", || 1)), Ok(1));
        assert_eq!(pool.completed(), 2);
    }

    #[test]
    fn threads_end_with_the_last_handle() {
        let pool = pool(3, 1);
        let shared = Arc::downgrade(&pool.0.0);
        let clone = pool.clone();

        drop(pool);
        assert_eq!(block_on(clone.run("a", || 1)), Ok(1));
        drop(clone);

        wait_until(|| shared.strong_count() == 0);
    }

    #[test]
    fn all_threads_work_at_once() {
        let pool = pool(3, 0);

        let held: Vec<_> = (0..3).map(|_| hold(&pool)).collect();

        assert_eq!(block_on(pool.run("a", || ())), Err(Busy));
        for (release, running) in held {
            drop(release);
            assert_eq!(block_on(running), Ok(()));
        }
    }

    #[test]
    fn a_client_who_fills_the_queue_makes_room_for_another() {
        let pool = pool(1, 2);
        let (release, running) = hold(&pool);
        let mut first = Box::pin(pool.run("a", || 1));
        poll_once(&mut first);
        let mut second = Box::pin(pool.run("a", || 2));
        poll_once(&mut second);

        assert_eq!(block_on(pool.run("a", || 3)), Err(Busy));
        let mut others = Box::pin(pool.run("b", || 4));
        poll_once(&mut others);
        assert_eq!(block_on(second), Err(Busy), "the last of the longest line");
        assert_eq!(block_on(pool.run("c", || 5)), Err(Busy), "one each is fair");

        drop(release);
        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(first), Ok(1));
        assert_eq!(block_on(others), Ok(4));
    }

    #[test]
    fn memory_is_kept_between_jobs_and_given_back_by_idle_threads() {
        let kept_by = |pool: &HashPool| block_on(pool.run("a", argon2::kept_memory)).unwrap();
        let hash = || argon2::encode("a password", "a salt of some length", 1).unwrap();

        let busy = HashPool::new(LIMITS).unwrap();
        let first = block_on(busy.run("a", hash)).unwrap();
        assert_eq!(kept_by(&busy), 100 * 1024 * 1024);
        // Nothing of the first hash gets into the second.
        assert_eq!(block_on(busy.run("a", hash)).unwrap(), first);

        let idle = Duration::from_millis(1);
        let idle = HashPool::new(Limits { idle, ..LIMITS }).unwrap();
        assert_eq!(block_on(idle.run("a", hash)).unwrap(), first);
        wait_until(|| kept_by(&idle) == 0);
    }

    #[test]
    fn threads_give_way_as_told() {
        let nice_of = |nice| {
            let pool = HashPool::new(Limits { nice, ..LIMITS }).unwrap();
            let nice =
                block_on(pool.run("a", || rustix::process::getpriority_process(Some(gettid()))));
            nice.unwrap().unwrap()
        };
        let usual = nice_of(0);

        assert_eq!(nice_of(19), 19);
        assert_eq!(nice_of(0), usual, "the process itself was not touched");
    }
}
