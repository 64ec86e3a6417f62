//! The server as a value: [`Application::build`], then
//! [`Application::run_until_stopped`].

mod connection;
mod error;
mod open;
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
pub use self::error::StartError;
pub use self::open::{Opened, find, migrate, open};
use self::stop::{Signals, stop_by_signal};
use crate::auth::{Auth, Clock};
use crate::http::csrf::Csrf;
use crate::http::middleware::headers;
use crate::http::middleware::host::AllowedHosts;
use crate::http::middleware::limits::Limits;
use crate::http::middleware::server_state::ServerState;
use crate::http::request::client_ip::TrustedProxies;
use crate::http::session::cookie::SessionCookie;
use crate::routes::{self, Services};
use crate::settings::Settings;
use crate::telemetry::RequestSpan;

/// How long a connection that closes is still read, so that the client gets the answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

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
        let auth = open(settings)?.auth(settings, clock)?;
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
