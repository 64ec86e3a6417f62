//! The server as a value: [`Application::build`], then
//! [`Application::run_until_stopped`].

mod connection;
mod stop;
mod upkeep;

use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpServiceBuilder, KeepAlive};
use actix_service::{ServiceFactoryExt, boxed, map_config};
use actix_web::cookie::Key;
use actix_web::dev::{AppConfig, Server, ServerHandle, fn_service};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use tracing_actix_web::TracingLogger;
use url::Url;

use self::connection::{Connection, Timeouts};
use self::stop::{Signals, stop_by_signal};
use crate::auth::{self, Auth, Clock};
use crate::db::{Database, MigrateError, OpenError, look};
use crate::http::csrf::Csrf;
use crate::http::middleware::headers;
use crate::http::middleware::host::AllowedHosts;
use crate::http::middleware::limits::Limits;
use crate::http::middleware::server_state::ServerState;
use crate::http::request::client_ip::TrustedProxies;
use crate::http::session::cookie::SessionCookie;
use crate::models::{SchemaError, UserTable};
use crate::routes::{self, Services};
use crate::settings::Settings;
use crate::telemetry::RequestSpan;

/// How long a connection that closes is still read, so that the client gets the answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a hashing thread keeps its memory when no login comes.
const HASHING_IDLE: Duration = Duration::from_secs(10);

/// Why the server did not start: one line that names the thing.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The tables in it cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address is taken, or not this machine's.
    #[error("PORTCULLIS_BIND: cannot listen on {address}: {reason}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A thread could not be started, or a signal not be caught.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// A server that listens, and answers once it runs.
pub struct Application {
    server: Server,
    address: SocketAddr,
    public_url: Url,
    auth: Auth,
    state: web::Data<ServerState>,
    signals: Signals,
    shutdown_delay: Duration,
}

impl Application {
    /// Binds the address, and migrates and opens the database.
    pub fn build(settings: &Settings) -> Result<Self, StartError> {
        Self::build_with_clock(settings, Clock::system())
    }

    /// The same, with a clock that a test can move.
    pub fn build_with_clock(settings: &Settings, clock: Clock) -> Result<Self, StartError> {
        // A port that is taken is found out before anything is changed.
        let bind_error = |reason| StartError::Bind {
            address: settings.server.bind,
            reason,
        };
        let listener = TcpListener::bind(settings.server.bind).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let (database, users) = open(settings)?;
        let auth = Auth::new(auth_config(settings), database, users, clock)?;
        let public_url = settings.public_url(address);
        let services = services(settings, auth.clone(), &public_url, address);
        let state = services.server.clone();
        let server = serve(settings, services, listener, address).map_err(bind_error)?;
        Ok(Self {
            server,
            address,
            public_url,
            auth,
            state,
            signals: Signals::catch()?,
            shutdown_delay: settings.server.shutdown_delay,
        })
    }

    /// Where it listens; the port is a real one, also if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What browsers see.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// The rules that it works by.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Stops it from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Answers requests until SIGTERM or Ctrl-C, then finishes those in flight.
    pub async fn run_until_stopped(self) -> std::io::Result<()> {
        let handle = self.server.handle();
        let _upkeep = upkeep::start(&self.auth);
        tokio::select! {
            ended = self.server => ended,
            () = stop_by_signal(self.signals, &self.state, handle, self.shutdown_delay) => Ok(()),
        }
    }
}

/// What `HttpServer` does, which takes no kind of connection but its own.
fn serve(
    settings: &Settings,
    services: Services,
    listener: TcpListener,
    address: SocketAddr,
) -> std::io::Result<Server> {
    let header_timeout = settings.server.header_timeout;
    let timeouts = Timeouts {
        // Once for the request to come, and once for its answer.
        busy: settings.server.request_timeout * 2,
        idle: settings.server.keep_alive,
    };
    let builder = Server::build()
        .workers(settings.server.workers.get())
        .max_concurrent_connections(settings.server.max_connections.get() / settings.server.workers)
        .shutdown_timeout(settings.server.shutdown_timeout.as_secs())
        .disable_signals();
    let stop = builder.graceful_shutdown_signal();
    let listening = builder.listen("portcullis", listener, move || {
        let app = App::new()
            .configure(routes::configure(&services))
            .wrap(from_fn(headers::add))
            .wrap(TracingLogger::<RequestSpan>::new());
        let http = HttpServiceBuilder::default()
            .client_request_timeout(header_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // A Connection has a limit of its own.
            .keep_alive(KeepAlive::Os)
            .local_addr(address)
            .h1(map_config(app, |()| AppConfig::default()));
        let stop = stop.clone();
        let connect = fn_service(move |client: TcpStream| {
            let (peer, stop) = (client.peer_addr().ok(), stop.clone());
            let stopped = async move { stop.notified().await };
            ready(Ok((Connection::new(client, timeouts, stopped), peer)))
        });
        // In a box: actix-server's task has room for two of what it gets.
        boxed::factory(connect.and_then(http))
    });
    Ok(listening?.run())
}

/// Opens the database of these settings, migrated, with its user table.
pub fn open(settings: &Settings) -> Result<(Database, UserTable), StartError> {
    for migration in migrate(settings)? {
        tracing::info!(%migration, "migrated the database");
    }
    let url = &settings.database.url;
    let requirements = settings.database.requirements();
    let users = look(url, |c| requirements.find_users(c))?;
    let users = users.unwrap_or_else(|| Err(requirements.no_user_table()))?;
    let pool = u32::try_from(settings.database.pool.get()).unwrap_or(u32::MAX);
    Ok((Database::open(url, pool)?, users))
}

/// Runs the pending migrations, unless the database is not the one that was meant: then
/// nothing is made in it.
pub fn migrate(settings: &Settings) -> Result<Vec<String>, StartError> {
    let url = &settings.database.url;
    let requirements = settings.database.requirements();
    let makes_djangos = match look(url, |c| requirements.before_migrations(c))? {
        Some(makes_djangos) => makes_djangos?,
        None if requirements.users.is_ours() => true,
        None => return Err(requirements.no_user_table().into()),
    };
    Ok(Database::migrate(url, makes_djangos)?)
}

/// The part of the settings that [`Auth`] takes.
pub fn auth_config(settings: &Settings) -> auth::Config {
    auth::Config {
        secret_keys: settings.secret_keys.clone(),
        storage: settings.auth.storage,
        login_with: settings.database.login_with,
        hasher: settings.hasher,
        upgrades_hashes: settings.upgrades_hashes,
        hash_limits: auth::passwords::pool::Limits {
            threads: settings.auth.hash_threads.get(),
            queue: settings.auth.hash_queue.get(),
            nice: settings.auth.hash_nice,
            idle: HASHING_IDLE,
        },
        backends: settings.auth.backends.clone(),
        session_age: settings.auth.session_age,
        session_idle: settings.auth.session_idle,
        throttle: settings.auth.throttle,
        event_age: settings.auth.event_age,
    }
}

fn services(settings: &Settings, auth: Auth, public_url: &Url, address: SocketAddr) -> Services {
    let age = auth.sessions.age().as_secs();
    let is_https = public_url.scheme() == "https";
    let hosts = AllowedHosts::new(&settings.http.allowed_hosts, public_url, address);
    Services {
        auth: web::Data::new(auth),
        csrf: web::Data::new(Csrf {
            public_url: public_url.clone(),
            trusted_origins: settings.http.trusted_origins.clone(),
            cors_origins: settings.http.cors_origins.clone(),
        }),
        hosts: web::Data::new(hosts),
        proxies: web::Data::new(TrustedProxies(settings.http.trusted_proxies.clone())),
        limits: web::Data::new(Limits {
            headers: settings.server.max_headers,
            body: settings.server.max_body,
            timeout: settings.server.request_timeout,
        }),
        server: web::Data::new(ServerState::new(is_https)),
        session_cookie: web::Data::new(SessionCookie {
            name: settings.http.session_cookie.clone(),
            secure: is_https,
            max_age: i64::try_from(age).unwrap_or(i64::MAX),
            key: Key::generate(),
        }),
    }
}
