//! The threads that hash passwords, and the short queue before them.
//!
//! Hashing takes a core for a quarter of a second. Its own threads (`hash-0`, …) give
//! way to those that answer requests: a login storm fills this queue and nothing else.
//!
//! Each job needs a place, of which one client holds half at most (`places.rs`), and
//! clients take turns. Without a place the answer is [`Busy`] at once. A [`Ticket`]
//! reserves the place before other work, so that in a storm none is done for nothing.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use django_auth::password::argon2;
use rustix::{process::setpriority_process, thread::gettid};
use tokio::sync::oneshot;

use super::places::{Place, Places};
use super::queue::FairQueue;

/// A wait that the log tells of, and how often it does.
const LONG_WAIT: Duration = Duration::from_secs(1);
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How much hashing there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Threads, at least one.
    pub threads: usize,
    /// Jobs that wait. With 0 a job is taken only while a thread is free.
    pub queue: usize,
    /// How far the threads give way to others: 0, not at all, to 19.
    pub nice: u8,
    /// How long a thread without a job keeps the memory that Argon2 took.
    pub idle: Duration,
}

/// No result: no place was free, or the job panicked. Try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password hashing is busy")]
pub struct Busy;

/// A handle on the threads; clones share them. They end, after the jobs that still
/// wait, when the last handle is gone.
#[derive(Clone)]
pub struct HashPool(Arc<Handle>);

impl HashPool {
    /// Starts the threads; an error if the system starts no more.
    pub fn new(limits: Limits) -> io::Result<Self> {
        let threads = limits.threads.max(1);
        let shared = Arc::new(Shared {
            idle: limits.idle,
            places: Places::new(threads, limits.queue),
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

    /// Runs `work` on one of the threads, in a place and a turn of `client`; never, if
    /// the returned future is dropped before it starts. [`Busy`] at once if there is no
    /// place, later if `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        client: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.reserve(client)?.run(work).await
    }

    /// A place for one job of that client, which is still to come; or [`Busy`].
    pub fn reserve(&self, client: &str) -> Result<Ticket, Busy> {
        let shared = &self.0.0;
        let place = shared.places.take(client).or_else(|| {
            shared.lock().waiting.retain(Job::is_wanted);
            shared.places.take(client)
        });
        let Some(place) = place else {
            let mut state = shared.lock();
            state.report.refused += 1;
            report(state);
            return Err(Busy);
        };
        Ok(Ticket {
            pool: self.clone(),
            client: client.to_owned(),
            place,
        })
    }

    /// Jobs that wait for a thread right now.
    pub fn depth(&self) -> usize {
        self.0.0.lock().waiting.len()
    }

    /// Jobs that have run to their end since the start, panicked ones included. Counted
    /// before the result is handed over.
    pub fn completed(&self) -> u64 {
        self.0.0.completed.load(Ordering::Acquire)
    }
}

/// A place for one job: taken until the job is done, or this is dropped.
pub struct Ticket {
    pool: HashPool,
    client: String,
    place: Place,
}

impl Ticket {
    /// Runs `work` as [`HashPool::run`] does.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (sender, receiver) = oneshot::channel();
        // It goes with this future: that is how the queue knows that nobody waits.
        let wanted = Arc::new(());
        let job = Job {
            place: self.place,
            wanted: Arc::downgrade(&wanted),
            since: Instant::now(),
            work: Box::new(move || {
                // Nothing of the work's is looked at after a panic.
                let outcome = catch_unwind(AssertUnwindSafe(work));
                Box::new(move || {
                    if let Ok(value) = outcome {
                        // In vain if the receiver has gone.
                        let _ = sender.send(value);
                    }
                })
            }),
        };
        let shared = &self.pool.0.0;
        shared.lock().waiting.push(&self.client, job);
        shared.changed.notify_one();
        receiver.await.map_err(|_| Busy)
    }
}

/// Closes the queue when the last [`HashPool`] goes.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// What handles and threads have in common.
struct Shared {
    idle: Duration,
    places: Places,
    state: Mutex<State>,
    changed: Condvar,
    completed: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: FairQueue<Job>,
    is_closed: bool,
    report: Report,
}

/// Hands a result over to whoever waits for it.
type Deliver = Box<dyn FnOnce()>;

struct Job {
    place: Place,
    /// Gone when nobody waits for the result any more.
    wanted: Weak<()>,
    since: Instant,
    work: Box<dyn FnOnce() -> Deliver + Send>,
}

impl Job {
    fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock, so the state is whole even if poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's whole life.
    fn work(&self) {
        while let Some(job) = self.next() {
            let deliver = (job.work)();
            // Both before the delivery: whoever gets the result finds the place free
            // and the job counted.
            drop(job.place);
            self.completed.fetch_add(1, Ordering::Release);
            deliver();
        }
    }

    /// Waits for a job that is still wanted; `None` when all is over.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let next = std::iter::from_fn(|| state.waiting.pop()).find(Job::is_wanted);
            if let Some(job) = next {
                let wait = job.since.elapsed();
                state.report.longest_wait = state.report.longest_wait.max(wait);
                report(state);
                tracing::debug!(?wait, "hashing a password");
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
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

/// What the log has not been told yet.
#[derive(Default)]
struct Report {
    last: Option<Instant>,
    refused: u64,
    longest_wait: Duration,
}

/// Tells the log, now and then, if there is anything: not of each refusal and long
/// wait, since there are most when there is least time for it.
fn report(mut state: MutexGuard<'_, State>) {
    let (refused, longest_wait) = (state.report.refused, state.report.longest_wait);
    let last = state.report.last;
    let is_due = last.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL);
    if !is_due || (refused == 0 && longest_wait < LONG_WAIT) {
        return;
    }
    state.report = Report {
        last: Some(Instant::now()),
        ..Report::default()
    };
    let depth = state.waiting.len();
    // The others need not wait for a line to be written.
    drop(state);
    tracing::warn!(
        refused,
        ?longest_wait,
        depth,
        "more logins come than the hashing threads can check"
    );
}

/// A lower priority, for this thread alone: on Linux a thread's number is taken where a
/// process's is.
fn give_way(nice: u8) {
    if nice > 0
        && let Err(error) = setpriority_process(Some(gettid()), i32::from(nice))
    {
        tracing::warn!(%error, "the hashing threads keep the usual priority");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use django_auth::password::{Algorithm, Hasher};

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

    /// A job of "a" that holds its thread until the returned sender goes.
    fn hold(pool: &HashPool) -> (mpsc::Sender<()>, impl Future<Output = Result<(), Busy>>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let work = move || {
            started.send(()).unwrap();
            let _ = held.recv();
        };
        let pool = pool.clone();
        let mut future = Box::pin(async move { pool.run("a", work).await });
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
    fn without_a_free_place_the_answer_is_busy_at_once() {
        let pool = pool(1, 1);
        let (release, running) = hold(&pool);
        let mut waiting = Box::pin(pool.run("b", || 2));
        poll_once(&mut waiting);

        assert_eq!(pool.depth(), 1);
        assert_eq!(block_on(pool.run("c", || 3)), Err(Busy));

        drop(release);
        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(waiting), Ok(2));
        assert_eq!(block_on(pool.run("c", || 4)), Ok(4));
        assert_eq!(pool.completed(), 3);
    }

    #[test]
    fn a_ticket_holds_its_place_until_its_job_is_done_or_it_is_dropped() {
        let pool = pool(1, 1);
        let [first, second] = ["a", "b"].map(|client| pool.reserve(client).unwrap());

        assert!(pool.reserve("c").is_err());
        assert_eq!(block_on(pool.run("c", || 1)), Err(Busy));

        assert_eq!(block_on(first.run(|| 2)), Ok(2));
        let third = pool.reserve("c").unwrap();
        assert!(pool.reserve("a").is_err(), "its job was done");
        drop((second, third));
        assert_eq!(block_on(pool.run("c", || 3)), Ok(3));
    }

    /// Tickets, jobs that wait and jobs that run all count.
    #[test]
    fn one_client_holds_half_of_the_places_at_most() {
        let pool = pool(1, 4);
        let (release, running) = hold(&pool);
        let mut waiting = Box::pin(pool.run("a", || 1));
        poll_once(&mut waiting);
        let ticket = pool.reserve("a").unwrap();

        assert!(pool.reserve("a").is_err());
        let others = [(); 2].map(|()| pool.reserve("b").unwrap());
        assert!(pool.reserve("b").is_err(), "all places are taken");
        drop(others);
        assert!(pool.reserve("a").is_err(), "still too many");

        drop(ticket);
        assert!(pool.reserve("a").is_ok());
        drop(release);
        assert_eq!(block_on(running), Ok(()));
        assert_eq!(block_on(waiting), Ok(1));
        assert_eq!([(); 3].map(|()| pool.reserve("a").is_ok()), [true; 3]);
    }

    #[test]
    fn without_a_queue_a_free_thread_still_takes_jobs() {
        let pool = pool(1, 0);
        for number in 0..100 {
            assert_eq!(block_on(pool.run("a", move || number)), Ok(number));
        }
        let (_release, _running) = hold(&pool);

        assert_eq!(block_on(pool.run("b", || ())), Err(Busy));
    }

    #[test]
    fn an_abandoned_job_never_starts_and_frees_its_place() {
        let pool = pool(1, 1);
        let (release, running) = hold(&pool);
        let (touched, touch) = mpsc::channel();
        let mut abandoned = Box::pin(pool.run("b", move || touched.send(()).unwrap()));
        poll_once(&mut abandoned);
        drop(abandoned);

        let mut wanted = Box::pin(pool.run("b", || 1));
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
    fn an_abandoned_job_that_runs_holds_its_place() {
        let pool = pool(1, 0);
        let (release, running) = hold(&pool);
        drop(running);

        assert!(pool.reserve("b").is_err());
        drop(release);
        wait_until(|| pool.reserve("b").is_ok());
        assert_eq!(pool.completed(), 1);
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

        assert_eq!(block_on(pool.run("b", || ())), Err(Busy));
        for (release, running) in held {
            drop(release);
            assert_eq!(block_on(running), Ok(()));
        }
    }

    #[test]
    fn clients_take_turns() {
        let pool = pool(1, 5);
        let (release, running) = hold(&pool);
        let order = Arc::new(Mutex::new(String::new()));
        let mut waiting: Vec<_> = ["a", "a", "b", "c"]
            .into_iter()
            .map(|client| {
                let order = Arc::clone(&order);
                let note = move || order.lock().unwrap().push_str(client);
                Box::pin(pool.run(client, note))
            })
            .collect();
        waiting.iter_mut().for_each(poll_once);

        drop(release);
        assert_eq!(block_on(running), Ok(()));
        for job in waiting {
            assert_eq!(block_on(job), Ok(()));
        }
        assert_eq!(*order.lock().unwrap(), "abca");
    }

    #[test]
    fn memory_is_kept_between_jobs_and_released_by_idle_threads() {
        let hash = || {
            let hasher = Hasher::new(Algorithm::Argon2, Some(1)).unwrap();
            hasher.make("a password", &mut rand::rng()).is_ok()
        };
        let kept_by = |pool: &HashPool| block_on(pool.run("a", argon2::kept_memory)).unwrap();

        let busy = HashPool::new(LIMITS).unwrap();
        assert_eq!(block_on(busy.run("a", hash)), Ok(true));
        assert_eq!(kept_by(&busy), 100 * 1024 * 1024);

        let idle = Duration::from_millis(1);
        let idle = HashPool::new(Limits { idle, ..LIMITS }).unwrap();
        assert_eq!(block_on(idle.run("a", hash)), Ok(true));
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
